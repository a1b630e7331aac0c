/** A text to be taken elsewhere, selected when it is reached. */
import { CopyButton } from "./CopyButton";

export function CopyField({ label, value }: { label: string; value: string }) {
  return (
    <div className="row copy-field">
      <input readOnly value={value} aria-label={label} onFocus={({ target }) => target.select()} />
      <CopyButton text={value} className="primary" />
    </div>
  );
}
