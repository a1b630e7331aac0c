/** A place to drop one file; what chooses one otherwise stands in it. */
import type { ReactNode } from "react";
import { DropZone, type FileDropItem } from "react-aria-components";

interface Props {
  label: string;
  /** Before the button that chooses a file; not shown where nothing can be dropped. */
  hint?: string;
  disabled?: boolean;
  onFile: (file: File) => void;
  children: ReactNode;
}

export function FileDrop({ label, hint, disabled = false, onFile, children }: Props) {
  return (
    <DropZone
      className="drop"
      isDisabled={disabled}
      aria-label={label}
      onDrop={async ({ items }) => {
        const item = items.find((one): one is FileDropItem => one.kind === "file");
        if (item) onFile(await item.getFile());
      }}
    >
      {hint && <span className="quiet for-mouse">{hint}</span>}
      {children}
    </DropZone>
  );
}
