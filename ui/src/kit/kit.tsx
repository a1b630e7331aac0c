/** Small parts that every view uses. */
import type { ReactNode } from "react";
import { Problem } from "../api/problem";
import { Told } from "./Told";

export { State } from "./State";

export function Trouble({ error }: { error: unknown }) {
  const found = error instanceof Problem ? error : new Problem(String((error as Error)?.message ?? error));
  return (
    <div className="problem" role="alert">
      <Reason of={found} />
    </div>
  );
}

/** What went wrong, what to do about it, and its code. */
export function Reason({ of }: { of: { message: string; hint: string; code: string } }) {
  return (
    <>
      <strong>
        <Told text={of.message} />
      </strong>{" "}
      <Told text={of.hint} /> <code>{of.code}</code>
    </>
  );
}

/** Rows under named columns; `last` names one that only a screen reader tells of, such as that of buttons. */
export function Table({ name, heads, last, children }: { name: string; heads: string[]; last?: string; children: ReactNode }) {
  return (
    // biome-ignore-start lint/a11y: what scrolls on a phone must be reached by keyboard, and a group is no landmark
    <div className="table" role="group" tabIndex={0} aria-label={name}>
      <table>
        <thead>
          <tr>
            {heads.map((head) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
            {last && (
              <th scope="col">
                <span className="visually-hidden">{last}</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
    // biome-ignore-end lint/a11y: so far
  );
}

interface Asked {
  data?: readonly unknown[] | undefined;
  error: Error | null;
}

/** What stands in the place of a list that is not there: what went wrong, that it is coming, or that it is empty. */
export function NoRows({ of, children }: { of: Asked; children: ReactNode }) {
  if (of.error) return <Trouble error={of.error} />;
  if (!of.data) return <p className="empty">One moment</p>;
  return of.data.length === 0 ? <Empty>{children}</Empty> : null;
}

export function Empty({ children }: { children: ReactNode }) {
  return <p className="empty">{children}</p>;
}
