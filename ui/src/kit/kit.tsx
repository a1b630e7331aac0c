/** Small parts that every view uses. */
import type { ReactNode } from "react";
import { Problem } from "../api/problem";
import { Marked } from "./Marked";

export { State } from "./State";
export { Table } from "./Table";

export function ErrorNotice({ error }: { error: unknown }) {
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
        <Marked text={of.message} />
      </strong>{" "}
      <Marked text={of.hint} /> <code>{of.code}</code>
    </>
  );
}

interface QueryState {
  data?: readonly unknown[] | undefined;
  error: Error | null;
}

/** What stands in the place of a list that is not there: what went wrong, that it is coming, or that it is empty. */
export function NoRows({ of, children }: { of: QueryState; children: ReactNode }) {
  if (of.error) return <ErrorNotice error={of.error} />;
  if (!of.data) return <p className="empty">One moment</p>;
  return of.data.length === 0 ? <Empty>{children}</Empty> : null;
}

export function Empty({ children }: { children: ReactNode }) {
  return <p className="empty">{children}</p>;
}
