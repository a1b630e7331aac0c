/** Small parts that every view uses. */
import { t } from "@lingui/core/macro";
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
  const [message, hint] = ownWords(of) ?? [of.message, of.hint];
  return (
    <>
      <strong>
        <Marked text={message} />
      </strong>{" "}
      <Marked text={hint} /> <code>{of.code}</code>
    </>
  );
}

/** Of problems that come without words, since a worker may find them, and of those that are in every list. */
export function ownWords({ code, message }: { code: string; message: string }): [message: string, hint: string] | undefined {
  if (code === "page.offline") return [t`The server does not answer.`, t`Is \`soundstage up\` still running?`];
  if (code === "render.cancelled") return [t`The work was cancelled.`, t`Retry it when you want it again.`];
  if (code === "page.no_answer") return [t`The server answered ${message}.`, ""];
  return undefined;
}

interface QueryState {
  data?: readonly unknown[] | undefined;
  error: Error | null;
}

/** What stands in the place of a list that is not there: what went wrong, that it is coming, or that it is empty. */
export function NoRows({ of, children }: { of: QueryState; children: ReactNode }) {
  if (of.error) return <ErrorNotice error={of.error} />;
  if (!of.data) return <p className="empty">{t`One moment`}</p>;
  return of.data.length === 0 ? <Empty>{children}</Empty> : null;
}

/** What stands in the place of a plan that is not there. */
export function NoPlan({ of }: { of: { data: unknown; error: Error | null } }) {
  if (of.error) return <ErrorNotice error={of.error} />;
  return of.data ? null : <p className="quiet">{t`Working out what would happen`}</p>;
}

export function Empty({ children }: { children: ReactNode }) {
  return <p className="empty">{children}</p>;
}
