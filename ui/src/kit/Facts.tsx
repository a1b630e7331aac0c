/** Names with their values, one below the other. */
import type { ReactNode } from "react";

export type Fact = readonly [name: string, value: ReactNode];

/** `dim`: the names stand back. */
export function Facts({ of, className, dim = false }: { of: readonly Fact[]; className: string; dim?: boolean }) {
  return (
    <dl className={className}>
      {of.map(([name, value]) => (
        <div key={name}>
          <dt className={dim ? "quiet" : undefined}>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
