/** A name that is changed where it stands: Enter takes the new one. */
import { t } from "@lingui/core/macro";

interface Props {
  label: string;
  value: string;
  onRename: (name: string) => void;
}

export function RenameField({ label, value, onRename }: Props) {
  return (
    <form
      className="row"
      onSubmit={(event) => {
        event.preventDefault();
        onRename(String(new FormData(event.currentTarget).get("name")));
      }}
    >
      {/* biome-ignore lint/a11y/noAutofocus: the button that was pressed opens it */}
      <input name="name" aria-label={label} defaultValue={value} required autoFocus />
      <button type="submit">{t`Rename`}</button>
    </form>
  );
}
