/** Secrets that the server shows this one time, until each is put away. */
import { t } from "@lingui/core/macro";
import { type ReactNode, useState } from "react";
import { CopyButton } from "../kit/CopyButton";

export interface Secret {
  name: string;
  value: string;
}

/** The cards of secrets, and a way to show another one. */
export function useSecrets(): [cards: ReactNode, show: (secret: Secret) => void] {
  const [secrets, setSecrets] = useState<readonly Secret[]>([]);
  const putAway = (secret: Secret) => setSecrets((all) => all.filter((one) => one !== secret));
  return [
    secrets.map((one) => <SecretOnce key={one.value} of={one} onClose={() => putAway(one)} />),
    (secret) => setSecrets((all) => [...all, secret]),
  ];
}

function SecretOnce({ of, onClose }: { of: Secret; onClose: () => void }) {
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
