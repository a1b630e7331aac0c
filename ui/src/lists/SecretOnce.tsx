/** Secrets that the server shows this one time, until each is put away. */
import { t } from "@lingui/core/macro";
import { useState } from "react";

export interface Secret {
  name: string;
  value: string;
}

/** The secrets that are shown, and a way to show another one. */
export function useSecrets(): [secrets: readonly Secret[], show: (secret: Secret) => void, putAway: (secret: Secret) => void] {
  const [secrets, setSecrets] = useState<readonly Secret[]>([]);
  return [
    secrets,
    (secret) => setSecrets((all) => [...all, secret]),
    (secret) => setSecrets((all) => all.filter((one) => one !== secret)),
  ];
}

export function SecretOnce({ of, onClose }: { of: Secret; onClose: () => void }) {
  const [copied, setCopied] = useState(false);
  const { name, value } = of;
  return (
    <section className="card stack" role="alert" aria-label={t`The secret of ${name}`}>
      <p>{t`The secret of “${name}” is shown this once. Keep it where only the program can read it.`}</p>
      <code className="secret">{value}</code>
      <div className="row">
        {/* Browsers give pages over plain HTTP no clipboard; a click into the secret selects all of it. */}
        {isSecureContext && (
          <button
            type="button"
            onClick={() =>
              void navigator.clipboard
                .writeText(value)
                .then(() => setCopied(true))
                .catch(() => setCopied(false))
            }
          >
            {copied ? t`Copied` : t`Copy`}
          </button>
        )}
        <button type="button" onClick={onClose}>{t`I have it`}</button>
      </div>
    </section>
  );
}
