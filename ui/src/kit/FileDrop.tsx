/** A place to drop one file; what chooses one otherwise stands in it. */
import type { ReactNode } from "react";
import { DropZone, type FileDropItem } from "react-aria-components";

interface Props {
  label: string;
  disabled?: boolean;
  onFile: (file: File) => void;
  children: ReactNode;
}

export function FileDrop({ label, disabled = false, onFile, children }: Props) {
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
      {children}
    </DropZone>
  );
}
