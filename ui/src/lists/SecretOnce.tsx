/** A secret that the server shows this one time. */
import { t } from "@lingui/core/macro";
import { useState } from "react";

interface Props {
  name: string;
  value: string;
  onClose: () => void;
}

export function SecretOnce({ name, value, onClose }: Props) {
  const [copied, setCopied] = useState(false);
  return (
    <section className="card stack" role="alert" aria-label={t`The secret of ${name}`}>
      <p>{t`The secret of “${name}” is shown this once. Keep it where only the program can read it.`}</p>
      <code className="secret">{value}</code>
      <div className="row">
        <button type="button" onClick={() => void navigator.clipboard?.writeText(value).then(() => setCopied(true))}>
          {copied ? t`Copied` : t`Copy`}
        </button>
        <button type="button" onClick={onClose}>{t`I have it`}</button>
      </div>
    </section>
  );
}
