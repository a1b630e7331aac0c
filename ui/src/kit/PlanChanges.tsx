/** What a call would change, line by line; what cannot be had back afterwards stands out. */
import { t } from "@lingui/core/macro";
import "./changes.css";

interface Change {
  what: string;
  where?: string;
  deletes?: boolean;
}

export function PlanChanges({ of }: { of: readonly Change[] }) {
  return (
    <ul className="changes">
      {of.map((one) => (
        <li key={`${one.what}${one.where}`} className={one.deletes ? "deletes" : undefined}>
          {one.deletes && <span className="chip bad">{t`permanent`}</span>} {one.what}
          {one.where && <span className="where">{one.where}</span>}
        </li>
      ))}
    </ul>
  );
}
