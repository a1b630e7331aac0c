/** Chooses one file from the person's computer; the same one may be chosen again. */
interface Props {
  label: string;
  accept: string;
  disabled: boolean;
  /** A button with the label, instead of the browser's own field below it. */
  isButton?: boolean;
  onFile: (file: File) => void;
}

export function FileInput({ label, accept, disabled, isButton = false, onFile }: Props) {
  return (
    <label className={isButton ? "button" : "field"}>
      {isButton ? label : <span>{label}</span>}
      <input
        type="file"
        className={isButton ? "visually-hidden" : undefined}
        accept={accept}
        disabled={disabled}
        onChange={(event) => {
          const file = event.target.files?.[0];
          if (file) onFile(file);
          event.target.value = "";
        }}
      />
    </label>
  );
}
