/** The audit log, the newest line first: filtered by what was done, by whom, and on what. */
import { i18n, type MessageDescriptor } from "@lingui/core";
import { msg, t } from "@lingui/core/macro";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { api, nextCursor } from "../api/client";
import { getAudit } from "../api/limits";
import { Field } from "../kit/Field";
import { NoRows, Table } from "../kit/kit";
import { personWords } from "../kit/person";
import { Select } from "../kit/Select";
import { ShortId } from "../kit/ShortId";
import { useSettled } from "../kit/useSettled";
import { when } from "../videos/words";
import "./lists.css";

const PAGE_ROWS = 100;

/** By the beginning of a kind. */
const GROUPS: Record<string, MessageDescriptor> = {
  "utterance.": msg`What was said`,
  "tool.": msg`What tools did`,
  "approval.": msg`Approvals`,
  "project.": msg`Projects`,
  "render.": msg`Videos`,
  "link.": msg`Shared links`,
  "brand.": msg`Brand kits`,
  "person.": msg`People`,
  "policy.": msg`Policy`,
  "backup.": msg`Backups`,
};
const KINDS: Record<string, MessageDescriptor> = {
  "utterance.said": msg`said something`,
  "tool.called": msg`called a tool`,
  "tool.ended": msg`a tool ended`,
  "policy.decided": msg`the policy decided`,
  "artefact.made": msg`a file was made`,
  "approval.requested": msg`asked for approval`,
  "approval.voted": msg`voted on an approval`,
  "approval.approved": msg`approved`,
  "approval.denied": msg`denied`,
  "approval.done": msg`carried out what was approved`,
  "render.created": msg`ordered a video`,
  "render.trashed": msg`moved a video to the trash`,
  "render.restored": msg`restored a video`,
  "render.deleted": msg`deleted a video`,
  "render.cancel_requested": msg`cancelled a video`,
  "project.created": msg`created a project`,
  "project.changed": msg`changed a project`,
  "project.imported": msg`imported a project`,
  "project.copied": msg`copied a project`,
  "project.deleted": msg`deleted a project`,
  "link.created": msg`shared a video by link`,
  "link.revoked": msg`revoked a shared link`,
  "brand.created": msg`created a brand kit`,
  "brand.changed": msg`changed a brand kit`,
  "brand.deleted": msg`deleted a brand kit`,
  "person.erased": msg`erased a person`,
  "backup.made": msg`made a backup`,
  "backup.restored": msg`restored a backup`,
};

export interface AuditSearch {
  kind?: string;
  actor?: string;
  about?: string;
}

export function AuditView() {
  const search: AuditSearch = useSearch({ strict: false });
  const navigate = useNavigate();
  const { kind = "", actor = "", about = "" } = search;
  const query = useSettled(JSON.stringify({ kind, actor: actor.trim(), about: about.trim() }));
  const choose = (change: AuditSearch) => {
    const chosen = Object.fromEntries(Object.entries({ ...search, ...change }).filter(([, value]) => value));
    void navigate({ to: "/run/audit", search: chosen, replace: true });
  };
  const lines = useInfiniteQuery({
    queryKey: ["audit", query],
    queryFn: async ({ pageParam }) => {
      const order = { limit: PAGE_ROWS, sort: "-number" as const, ...(pageParam && { cursor: pageParam }) };
      const { data = [], response } = await api.GET("/api/audit", { params: { query: { ...order, ...JSON.parse(query) } } });
      return { rows: data, next: nextCursor(response) };
    },
    initialPageParam: "",
    getNextPageParam: (page) => page.next,
    placeholderData: (before) => before,
  });
  const rows = lines.data?.pages.flatMap((page) => page.rows);
  const isFiltered = kind !== "" || actor !== "" || about !== "";
  const heads = [t`Number`, t`When`, t`What`, t`Who`, t({ message: "On", context: "subject of a record" })];
  return (
    <div className="stack">
      <div className="row apart">
        <h1>{t`Audit`}</h1>
        <search className="row">
          <Select bare label={t`What`} value={kind} onChange={(kind) => choose({ kind })} none={t`Everything`} of={GROUPS} />
          <Field
            bare
            type="search"
            of={getAudit}
            name="actor"
            label={t`Who`}
            placeholder={t`Who`}
            value={actor}
            onChange={(value) => choose({ actor: value })}
          />
          <Field
            bare
            type="search"
            of={getAudit}
            name="about"
            label={t`Id of a thing, a conversation or a trace`}
            placeholder={t`Id`}
            value={about}
            onChange={(value) => choose({ about: value })}
          />
        </search>
      </div>
      <NoRows of={{ data: rows, error: lines.error }}>
        {isFiltered ? t`No record is like that.` : t`Nothing was recorded yet.`}
      </NoRows>
      {rows && rows.length > 0 && (
        <Table name={t`Audit`} heads={heads}>
          {rows.map((one) => (
            <tr key={one.number}>
              <th scope="row">{one.number}</th>
              <td className="when">{when(one.at)}</td>
              <td>
                {KINDS[one.kind] ? i18n.t(KINDS[one.kind] as MessageDescriptor) : one.kind}
                {typeof one.data.tool === "string" && <span className="quiet"> · {one.data.tool}</span>}
                {KINDS[one.kind] && <div className="quiet mono">{one.kind}</div>}
              </td>
              <td>
                <Link to="/run/audit" search={{ ...search, actor: one.actor }}>
                  {personWords(one.actor)}
                </Link>
              </td>
              <td className="mono">
                <Subject id={one.subject} />
              </td>
            </tr>
          ))}
        </Table>
      )}
      {lines.hasNextPage && (
        <div className="row ends">
          <button type="button" disabled={lines.isFetchingNextPage} onClick={() => void lines.fetchNextPage()}>
            {lines.isFetchingNextPage ? t`One moment` : t`Show more`}
          </button>
        </div>
      )}
    </div>
  );
}

/** Leads to all records of it: from the request to what came of it. */
function Subject({ id }: { id: string }) {
  return id ? (
    <Link to="/run/audit" search={{ about: id }}>
      <ShortId of={id} />
    </Link>
  ) : null;
}
