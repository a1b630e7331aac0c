/** What was deleted and is still there: projects and videos, to restore or to delete for good. */
import { t } from "@lingui/core/macro";
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
  return (
    <div className="stack">
      <h1>{t`Trash`}</h1>
      <p className="quiet">{t`What was deleted stays here for a while, and then goes for good.`}</p>
      <Things
        kind={projects()}
        mayRestore={permissions.includes("project:update")}
        mayRemove={permissions.includes("project:delete")}
      />
      {permissions.includes("render:read") && (
        <Things
          kind={videos()}
          mayRestore={permissions.includes("render:update")}
          mayRemove={permissions.includes("render:delete")}
        />
      )}
    </div>
  );
}

function Things({ kind, mayRestore, mayRemove }: { kind: Kind; mayRestore: boolean; mayRemove: boolean }) {
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
              <td>{one.trashed_at && when(one.trashed_at)}</td>
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
