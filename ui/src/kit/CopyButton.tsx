/** Copies a text. Browsers give pages over plain HTTP no clipboard: there is no button then, and the text is to be selected. */
import { t } from "@lingui/core/macro";
import { useState } from "react";

interface Props {
  text: string;
  /** For those who cannot see what stands beside the button. */
  about?: string;
  label?: string;
}

export function CopyButton({ text, about, label = t`Copy` }: Props) {
  const [copied, setCopied] = useState("");
  if (!isSecureContext) return null;
  const isCopied = copied === text && text !== "";
  return (
    <button
      type="button"
      aria-label={about && (isCopied ? t`Copied: ${about}` : t`Copy: ${about}`)}
      onClick={() =>
        void navigator.clipboard
          .writeText(text)
          .then(() => setCopied(text))
          .catch(() => setCopied(""))
      }
    >
      {isCopied ? t`Copied` : label}
    </button>
  );
}
