/** A button that chooses one file from the person's computer; the same one may be chosen again. */
interface Props {
  label: string;
  accept: string;
  disabled: boolean;
  onFile: (file: File) => void;
}

export function FileInput({ label, accept, disabled, onFile }: Props) {
  return (
    <label className="button">
      {label}
      <input
        type="file"
        className="visually-hidden"
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
