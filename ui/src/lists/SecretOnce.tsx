/** Secrets that the server shows this one time, until each is put away. */
import { t } from "@lingui/core/macro";
import { useState } from "react";
import { CopyButton } from "../kit/CopyButton";

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
  const { name, value } = of;
  return (
    <section className="card stack" role="alert" aria-label={t`The secret of ${name}`}>
      <p>{t`The secret of “${name}” is shown this once. Keep it where only the program can read it.`}</p>
      <code className="secret">{value}</code>
      <div className="row">
        <CopyButton text={value} />
        <button type="button" onClick={onClose}>{t`I have it`}</button>
      </div>
    </section>
  );
}
