/** What was deleted and is still there: projects and videos, to restore or to delete for good. */
import { plural, t } from "@lingui/core/macro";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, body } from "../api/client";
import { ConfirmedAction } from "../kit/ConfirmedAction";
import { ErrorNotice, NoRows, Table } from "../kit/kit";
import { usePrincipal } from "../shell/me";
import { when } from "../videos/words";

interface Thing {
  id: string;
  title: string;
  trashed_at?: string | null;
}

interface Kind {
  /** The first part of the keys of its queries. */
  key: "projects" | "renders";
  name: string;
  empty: string;
  list: () => Promise<readonly Thing[]>;
  restore: (id: string) => Promise<unknown>;
  remove: (id: string) => Promise<unknown>;
}

const projects = (): Kind => ({
  key: "projects",
  name: t`Projects`,
  empty: t`No project is in the trash.`,
  list: () => body(api.GET("/api/projects", { params: { query: { trash: true, limit: 200 } } })),
  restore: (ref) => api.POST("/api/projects/{ref}/restore", { params: { path: { ref } } }),
  remove: (ref) => api.DELETE("/api/projects/{ref}", { params: { path: { ref }, query: { forever: true } } }),
});

const videos = (): Kind => ({
  key: "renders",
  name: t`Videos`,
  empty: t`No video is in the trash.`,
  list: () => body(api.GET("/api/renders", { params: { query: { trash: true, limit: 200 } } })),
  restore: (id) => api.POST("/api/renders/{render_id}/restore", { params: { path: { render_id: id } } }),
  remove: (id) => api.DELETE("/api/renders/{render_id}", { params: { path: { render_id: id }, query: { forever: true } } }),
});

export function TrashView() {
  const { permissions } = usePrincipal();
  const settings = useQuery({
    queryKey: ["settings"],
    queryFn: () => body(api.GET("/api/settings")),
    enabled: permissions.includes("setting:read"),
  });
  const days =
    Number(settings.data?.sections.flatMap((one) => one.settings).find((one) => one.name === "retention.trash_days")?.value) || 0;
  const stay = days
    ? t`What is in the trash is deleted permanently ${plural(days, { one: "# day", other: "# days" })} after it was put here.`
    : t`What was deleted stays here until the server or somebody deletes it permanently.`;
  return (
    <div className="stack">
      <h1>{t`Trash`}</h1>
      <p className="quiet">{stay}</p>
      <Things
        days={days}
        kind={projects()}
        mayRestore={permissions.includes("project:update")}
        mayRemove={permissions.includes("project:delete")}
      />
      {permissions.includes("render:read") && (
        <Things
          days={days}
          kind={videos()}
          mayRestore={permissions.includes("render:update")}
          mayRemove={permissions.includes("render:delete")}
        />
      )}
    </div>
  );
}

interface Props {
  kind: Kind;
  /** After which the server deletes it; 0 where that is not known, or never. */
  days: number;
  mayRestore: boolean;
  mayRemove: boolean;
}

const DAY_MS = 86_400_000;

function Things({ kind, days, mayRestore, mayRemove }: Props) {
  const queries = useQueryClient();
  const list = useQuery({ queryKey: [kind.key, "trash"], queryFn: kind.list });
  const again = () => queries.invalidateQueries({ queryKey: [kind.key] });
  const restore = useMutation({ mutationFn: kind.restore, onSettled: again });
  return (
    <section className="stack" aria-label={kind.name}>
      <h2>{kind.name}</h2>
      {restore.error && <ErrorNotice error={restore.error} />}
      <NoRows of={list}>{kind.empty}</NoRows>
      {(list.data?.length ?? 0) > 0 && (
        <Table name={kind.name} heads={[t`Title`, t`Deleted`]} last={t`Actions`}>
          {list.data?.map((one) => (
            <tr key={one.id}>
              <th scope="row">{one.title}</th>
              <td>
                {one.trashed_at && when(one.trashed_at)}
                {one.trashed_at && days > 0 && (
                  <div className="quiet">
                    {t`permanently on ${when(new Date(Date.parse(one.trashed_at) + days * DAY_MS).toISOString())}`}
                  </div>
                )}
              </td>
              <td>
                <span className="row ends">
                  {mayRestore && (
                    <button type="button" onClick={() => restore.mutate(one.id)} aria-label={t`Restore ${one.title}`}>
                      {t`Restore`}
                    </button>
                  )}
                  {mayRemove && (
                    <ConfirmedAction
                      label={t`Delete for good`}
                      about={one.title}
                      title={t`Delete “${one.title}” for good?`}
                      confirmLabel={t`Delete for good`}
                      action={() => kind.remove(one.id)}
                      onSuccess={() => void again()}
                    >
                      <p>{t`All of it is removed from this studio. This cannot be taken back.`}</p>
                    </ConfirmedAction>
                  )}
                </span>
              </td>
            </tr>
          ))}
        </Table>
      )}
    </section>
  );
}
