/** Small parts that every view uses. */
import { i18n, type MessageDescriptor } from "@lingui/core";
import { msg, t } from "@lingui/core/macro";
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

const LINK_REFUSALS: Record<string, MessageDescriptor> = {
  "login.link_unknown": msg`This start link is not of this run of the server.`,
  "login.link_used": msg`This start link was used already: it logs in once.`,
  "login.link_expired": msg`This start link has expired.`,
};

/** Of problems that come without words, since a worker may find them, of those that are in every list, and of a login. */
export function ownWords({ code, message }: { code: string; message: string }): [message: string, hint: string] | undefined {
  if (code === "page.offline") return [t`The server does not answer.`, t`Is \`soundstage up\` still running?`];
  if (code === "render.cancelled") return [t`The work was cancelled.`, t`Retry it when you want it again.`];
  if (code === "auth.bad_key" && !message.includes("link"))
    return [t`This API key is unknown, expired or revoked.`, t`Ask an administrator for a new one.`];
  const refused = LINK_REFUSALS[code];
  if (refused) return [i18n.t(refused), t`\`soundstage open\` makes a fresh link, on the machine of the server.`];
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
