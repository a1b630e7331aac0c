/** A text to be taken elsewhere. Its button works over plain HTTP too, where browsers give pages no clipboard of their own. */
import { t } from "@lingui/core/macro";
import { useRef, useState } from "react";

export function CopyField({ label, value }: { label: string; value: string }) {
  const field = useRef<HTMLInputElement>(null);
  const [copied, setCopied] = useState(false);
  const copy = () => {
    field.current?.select();
    // Old, and the one way to copy that no browser keeps for https; where it is refused, the text stays selected.
    setCopied(document.execCommand("copy"));
  };
  return (
    <div className="row copy-field">
      <input ref={field} readOnly value={value} aria-label={label} onFocus={({ target }) => target.select()} />
      <button type="button" className="primary" onClick={copy}>
        {copied ? t`Copied` : t`Copy`}
      </button>
      <span className="visually-hidden" role="status">
        {copied && t`Copied`}
      </span>
    </div>
  );
}
