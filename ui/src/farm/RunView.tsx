/** One run of a playbook: its machines, its tasks as they come, and how to stop or repeat it. */

import { plural, t } from "@lingui/core/macro";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { api, body, type Me, type Run, type RunTask } from "../api/client";
import { ConfirmedAction } from "../kit/ConfirmedAction";
import { ErrorNotice, NoRows, State, Table } from "../kit/kit";
import { personWords } from "../kit/person";
import { Select } from "../kit/Select";
import { useRefreshedBy } from "../live/useRefreshedBy";
import { timeText } from "../log/tree";
import { usePrincipal } from "../shell/me";
import { when } from "../videos/words";

const OPEN = ["queued", "running"];

export function RunView() {
  const me = usePrincipal();
  const { id } = useParams({ from: "/run/runs/$id" });
  const params = { path: { run_id: id } };
  const found = useQuery({
    queryKey: ["runs", id],
    queryFn: () => body(api.GET("/api/farm/runs/{run_id}", { params })),
  });
  const run = found.data;
  const isOpen = run !== undefined && OPEN.includes(run.state);
  useRefreshedBy("/api/farm/runs/events", "runs", isOpen);
  const tasks = useQuery({
    // Once more when it has ended: the last tasks came with the end.
    queryKey: ["runs", id, "tasks", isOpen],
    queryFn: () => body(api.GET("/api/farm/runs/{run_id}/tasks", { params })),
    placeholderData: (before) => before,
  });
  return (
    <div className="stack">
      <div>
        <Link to="/run/runs">{t`All runs`}</Link>
      </div>
      <div className="row apart">
        <h1 className="row">
          {run ? run.playbook : found.error ? t`No such run` : t`One moment`} {run?.check && t`(dry run)`}{" "}
          {run && <State of={run.state} />}
        </h1>
        {run && <RunActions run={run} me={me} />}
      </div>
      {found.error && <ErrorNotice error={found.error} />}
      {run && (
        <>
          <p className="quiet">
            {[
              t`by ${personWords(run.requested_by)}`,
              run.reason,
              when(run.started_at ?? run.created_at),
              run.started_at && run.ended_at ? timeText(Date.parse(run.ended_at) - Date.parse(run.started_at)) : "",
            ]
              .filter(Boolean)
              .join(" · ")}
            {run.trace_id && (
              <>
                {" · "}
                <Link to="/run/log/$id" params={{ id: run.trace_id }}>{t`its trace`}</Link>
              </>
            )}
          </p>
          {run.cause && (
            <p className="problem">
              {run.cause} {run.hint}
            </p>
          )}
          <ul className="row" aria-label={t`Machines`}>
            {run.machines.map((one) => (
              <li key={one.name}>
                <Link to="/run/machines/$name" params={{ name: one.name }}>
                  {one.name}
                </Link>{" "}
                <State of={one.result} />
                {one.changed > 0 && (
                  <span className="quiet"> {plural(one.changed, { one: "# change", other: "# changes" })}</span>
                )}
              </li>
            ))}
          </ul>
        </>
      )}
      <NoRows of={tasks}>{t`No task has ended yet.`}</NoRows>
      {(tasks.data?.length ?? 0) > 0 && <Tasks of={tasks.data ?? []} />}
    </div>
  );
}

const BAD = ["failed", "unreachable"];

function Tasks({ of }: { of: readonly RunTask[] }) {
  const [only, setOnly] = useState<"" | "failed" | "changed">("");
  const shown = of.filter((one) => !only || (only === "failed" ? BAD.includes(one.result) : one.changed));
  return (
    <section className="stack" aria-labelledby="tasks-title">
      <div className="row apart">
        <h2 id="tasks-title">{plural(of.length, { one: "# task", other: "# tasks" })}</h2>
        <Select
          className=""
          label={t`Show`}
          value={only}
          onChange={setOnly}
          none={t`all`}
          of={{ failed: t`what failed`, changed: t`what changed something` }}
        />
      </div>
      {shown.length === 0 && <p className="empty">{t`No such task.`}</p>}
      {shown.length > 0 && (
        <Table name={t`Tasks`} heads={[t`Task`, t`Machine`, t`Result`, t`Took`]}>
          {shown.map((one, at) => (
            <tr key={at}>
              <th scope="row">
                {one.task}
                {one.message && <div className="quiet">{one.message}</div>}
              </th>
              <td>{one.machine}</td>
              <td>
                <span className={`chip ${BAD.includes(one.result) ? "bad" : one.changed ? "live" : ""}`}>
                  {one.changed ? t`changed` : one.result}
                </span>
              </td>
              <td className="mono">{one.seconds == null ? "" : timeText(one.seconds * 1000)}</td>
            </tr>
          ))}
        </Table>
      )}
    </section>
  );
}

function RunActions({ run, me }: { run: Run; me: Me }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const changed = () => queries.invalidateQueries({ queryKey: ["runs"] });
  const params = { path: { run_id: run.id } };
  const retry = useMutation({
    mutationFn: () => body(api.POST("/api/farm/runs/{run_id}/retry", { params })),
    onSuccess: (again) => {
      void changed();
      void navigate({ to: "/run/runs/$id", params: { id: again.id } });
    },
  });
  const failed = ["failed", "cancelled", "lost"].includes(run.state);
  return (
    <span className="row">
      {OPEN.includes(run.state) && me.permissions.includes("run:cancel") && (
        <ConfirmedAction
          label={t`Cancel`}
          title={t`Cancel this run of ${run.playbook}?`}
          confirmLabel={t`Cancel this run`}
          action={() => api.POST("/api/farm/runs/{run_id}/cancel", { params })}
          onSettled={changed}
        >
          <p>{t`Its processes end at once; a machine in the middle of a task may need another run.`}</p>
        </ConfirmedAction>
      )}
      {failed && me.permissions.includes("run:create") && (
        <button type="button" disabled={retry.isPending} onClick={() => retry.mutate()}>
          {t`Again on the machines that failed`}
        </button>
      )}
      {retry.error && <ErrorNotice error={retry.error} />}
    </span>
  );
}
