/** Copies a text. It works over plain HTTP too, where browsers give pages no clipboard of their own. */
import { t } from "@lingui/core/macro";
import { useState } from "react";

interface Props {
  text: string;
  /** For those who cannot see what stands beside the button. */
  about?: string;
  label?: string;
  className?: string;
}

export function CopyButton({ text, about, label = t`Copy`, className }: Props) {
  const [copied, setCopied] = useState("");
  const isCopied = copied === text && text !== "";
  return (
    <>
      <button
        type="button"
        className={className}
        aria-label={about && (isCopied ? t`Copied: ${about}` : t`Copy: ${about}`)}
        onClick={({ currentTarget }) => setCopied(copyBeside(currentTarget, text) ? text : "")}
      >
        {isCopied ? t`Copied` : label}
      </button>
      <span className="visually-hidden" role="status">
        {isCopied && t`Copied`}
      </span>
    </>
  );
}

/** Old, and the one way to copy that no browser keeps for https. Beside the button, since a dialog holds the focus. */
function copyBeside(button: HTMLButtonElement, text: string): boolean {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "visually-hidden";
  button.after(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  button.focus();
  return isCopied;
}
