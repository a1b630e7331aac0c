/** The jobs of the farm, or the one whose address is open: its groups, its allocations, and what its tasks write. */
import { t } from "@lingui/core/macro";
import { Link, useParams } from "@tanstack/react-router";
import { Suspense, useState } from "react";
import type { Job, JobDetail } from "../api/client";
import { ErrorNotice, NoRows, State, Table } from "../kit/kit";
import { lazyPart } from "../kit/part";
import { usePrincipal } from "../shell/me";
import { when } from "../videos/words";
import { NoFarm } from "./NoFarm";
import { useJob, useJobs } from "./useCluster";
import "./farm.css";

const JobChange = lazyPart(async () => ({ default: (await import("./JobChange")).JobChange }));
const TaskLog = lazyPart(async () => ({ default: (await import("./TaskLog")).TaskLog }));

export function JobsView() {
  const { id } = useParams({ strict: false });
  return id === undefined ? <List /> : <Detail key={id} id={id} />;
}

function List() {
  const [steps, setSteps] = useState(false);
  const jobs = useJobs(steps);
  return (
    <div className="stack">
      <div className="row apart">
        <h1>{t`Jobs`}</h1>
        <label className="row">
          <input type="checkbox" checked={steps} onChange={({ target }) => setSteps(target.checked)} />
          {t`With the steps of videos`}
        </label>
      </div>
      <NoFarm error={jobs.error}>
        <NoRows of={jobs}>{t`No job runs on the farm.`}</NoRows>
      </NoFarm>
      {(jobs.data?.length ?? 0) > 0 && (
        <Table name={t`Jobs of the farm`} heads={[t`Job`, t`State`, t`Running`, t`Waiting`, t`Kind`, t`Since`]}>
          {jobs.data?.map((one) => (
            <tr key={one.id}>
              <th scope="row">
                <Link to="/run/jobs/$id" params={{ id: one.id }}>
                  {one.id}
                </Link>
                <Film of={one} />
              </th>
              <td>
                <JobState of={one} />
                {one.why && <div className="quiet">{one.why}</div>}
              </td>
              <td>{one.running + one.starting}</td>
              <td>{one.waiting}</td>
              <td>{one.kind}</td>
              <td className="when">{when(one.submitted_at)}</td>
            </tr>
          ))}
        </Table>
      )}
    </div>
  );
}

function Detail({ id }: { id: string }) {
  const job = useJob(id);
  return (
    <div className="stack">
      <div>
        <Link to="/run/jobs">{t`All jobs`}</Link>
      </div>
      <div className="row apart">
        <h1>{id}</h1>
        {job.data && (
          <div className="row">
            <JobState of={job.data} />
            <Changes of={job.data} />
          </div>
        )}
      </div>
      {job.error && (
        <NoFarm error={job.error}>
          <ErrorNotice error={job.error} />
        </NoFarm>
      )}
      {!job.data && !job.error && <p className="empty">{t`One moment`}</p>}
      {job.data && <About of={job.data} />}
    </div>
  );
}

function About({ of }: { of: JobDetail }) {
  return (
    <>
      <p className="quiet">
        {[of.kind, t`priority ${of.priority}`, when(of.submitted_at)].join(" · ")} <Film of={of} />
      </p>
      {of.why && <p className="problem">{of.why}</p>}
      <h2>{t`Groups`}</h2>
      <Table name={t`Groups`} heads={[t`Group`, t`Tasks`, t`Wanted`, t`Running`, t`Waiting`]}>
        {of.groups.map((one) => (
          <tr key={one.name}>
            <th scope="row">{one.name}</th>
            <td>{one.tasks.map((task) => `${task.name} (${task.driver})`).join(", ")}</td>
            <td>{one.count}</td>
            <td>{one.running + one.starting}</td>
            <td>{one.waiting}</td>
          </tr>
        ))}
      </Table>
      <h2>{t`Allocations`}</h2>
      {of.allocations.length === 0 && <p className="quiet">{t`It has not started anywhere yet.`}</p>}
      <ul className="stack">
        {of.allocations.map((one) => (
          <Allocation key={one.id} of={one} />
        ))}
      </ul>
    </>
  );
}

function Allocation({ of }: { of: JobDetail["allocations"][number] }) {
  const { permissions } = usePrincipal();
  const [shown, setShown] = useState("");
  return (
    <li className="card">
      <div className="row apart">
        <strong>
          <Link to="/run/nodes/$id" params={{ id: of.node }}>
            {of.node}
          </Link>{" "}
          <span className="quiet">{of.group}</span>
        </strong>
        <State of={of.state} />
      </div>
      <p className="quiet">
        {when(of.since)}
        {of.event && ` · ${of.event}`}
      </p>
      <ul className="stack">
        {of.tasks.map((task) => (
          <li key={task.name} className="row apart">
            <span>
              {task.name} <State of={task.failed ? "failed" : task.state} />{" "}
              {task.restarts > 0 && <span className="quiet">{t`started again ${task.restarts} times`}</span>}
            </span>
            {permissions.includes("job:read") && (
              <button
                type="button"
                aria-expanded={shown === task.name}
                aria-label={t`Log of ${task.name} on ${of.node}`}
                onClick={() => setShown(shown === task.name ? "" : task.name)}
              >{t`Log`}</button>
            )}
          </li>
        ))}
      </ul>
      {shown && (
        <Suspense fallback={<p className="quiet">{t`One moment`}</p>}>
          <TaskLog key={shown} allocation={of.id} task={shown} running={of.state === "running"} />
        </Suspense>
      )}
    </li>
  );
}

/** Steps of videos are ended by cancelling the video. */
function Changes({ of }: { of: JobDetail }) {
  const { permissions } = usePrincipal();
  const [open, setOpen] = useState<"scale" | "stop" | null>(null);
  if (of.step || of.state === "stopped") return null;
  return (
    <>
      {permissions.includes("job:scale") && of.groups.length > 0 && of.kind === "service" && (
        <button type="button" onClick={() => setOpen("scale")}>{t`Scale`}</button>
      )}
      {permissions.includes("job:stop") && (
        <button type="button" className="danger" onClick={() => setOpen("stop")}>{t`Stop`}</button>
      )}
      {open && (
        <Suspense>
          <JobChange job={of} action={open} onClose={() => setOpen(null)} />
        </Suspense>
      )}
    </>
  );
}

function JobState({ of }: { of: Job }) {
  if (of.state === "stopped" || of.state === "dead")
    return <State of="stopped">{of.state === "dead" ? t`ended` : t`stopped`}</State>;
  return of.waiting > 0 && of.running === 0 ? <State of="pending">{t`waits`}</State> : <State of={of.state} />;
}

function Film({ of }: { of: Job }) {
  if (of.render)
    return (
      <span className="quiet">
        {" "}
        <Link to="/videos/$id" params={{ id: of.render }}>
          {of.title}
        </Link>
      </span>
    );
  return of.step ? <span className="quiet"> {t`a step of a video`}</span> : null;
}
