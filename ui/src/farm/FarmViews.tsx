/** Machines and runs as tables. */

import { i18n } from "@lingui/core";
import { msg, t } from "@lingui/core/macro";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Fragment } from "react";
import { type Approval, api, body, type Machine, type Me } from "../api/client";
import { useApprovals } from "../approvals/useApprovals";
import { NoRows, State, Table } from "../kit/kit";
import { personWords } from "../kit/person";
import type { Message } from "../live/sse";
import { useRefreshedBy } from "../live/useRefreshedBy";
import { usePrincipal } from "../shell/me";
import { moment, when } from "../videos/words";
import { MachineOperations } from "./MachineOperations";
import { OtherKeys } from "./OtherKeys";
import { useMachines } from "./useCluster";
import "./farm.css";

const COLUMNS = [msg`Name`, msg`State`, msg`Code`, msg`Seen`];

export function MachinesView() {
  const me = usePrincipal();
  const list = useMachines();
  useRefreshedBy("/api/farm/events", "machines", list.data !== undefined);
  const approvals = useApprovals(me.permissions.includes("approval:read")).data ?? [];
  const acceptanceOf = (name: string) =>
    approvals.find(
      ({ state, tool, arguments: of }) =>
        state === "pending" && tool === "change_machine" && of.action === "accept" && of.machine === name,
    );
  return (
    <div className="stack">
      <h1>{t`Machines`}</h1>
      <NoRows of={list}>{t`No machine yet. One that boots from the network appears here and waits to be accepted.`}</NoRows>
      {(list.data?.length ?? 0) > 0 && (
        <Table name={t`Machines of the farm`} heads={COLUMNS.map((one) => i18n.t(one))} last={t`Actions`}>
          {list.data?.map((one) => (
            <Fragment key={one.id}>
              <tr>
                <th scope="row">
                  <Link to="/run/machines/$name" params={{ name: one.name }}>
                    {one.name}
                  </Link>
                  <div className="quiet">{[one.address, one.pool].filter(Boolean).join(" · ")}</div>
                </th>
                <Stand of={one} />
                <td className="mono">{one.code}</td>
                <td>{moment(one.seen_at)}</td>
                <td className="operations">
                  <NextStep machine={one} me={me} approval={acceptanceOf(one.name)} />
                </td>
              </tr>
              {one.conflicts.length > 0 && (
                <tr className="remark">
                  <td colSpan={COLUMNS.length + 1}>
                    <OtherKeys of={one} me={me} />
                  </td>
                </tr>
              )}
            </Fragment>
          ))}
        </Table>
      )}
    </div>
  );
}

/** What can be done with a machine, or the approval that its acceptance waits for. */
function NextStep({ machine, me, approval }: { machine: Machine; me: Me; approval: Approval | undefined }) {
  if (!approval) return <MachineOperations machine={machine} me={me} />;
  return (
    <Link to="/run/approvals/$id" params={{ id: approval.id }}>
      {t`Waits for approval`}
      <span className="visually-hidden"> {machine.name}</span>
    </Link>
  );
}

/** Of a run, not of one of its tasks. */
const beginsOrEnds = ({ event }: Message) => ["run.queued", "run.started", "run.ended"].includes(event);

export function RunsView() {
  const list = useQuery({ queryKey: ["runs"], queryFn: () => body(api.GET("/api/farm/runs")) });
  useRefreshedBy("/api/farm/runs/events", "runs", list.data !== undefined, beginsOrEnds);
  return (
    <div className="stack">
      <h1>{t`Runs`}</h1>
      <NoRows of={list}>{t`No run yet. Each time Ansible works on machines, it appears here.`}</NoRows>
      {(list.data?.length ?? 0) > 0 && (
        <Table name={t`Runs of playbooks`} heads={[t`Playbook`, t`State`, t`Machines`, t`By`, t`Began`]}>
          {list.data?.map((one) => (
            <tr key={one.id}>
              <th scope="row">
                <Link to="/run/runs/$id" params={{ id: one.id }}>
                  {one.playbook}
                </Link>
                {one.check && ` ${t`(dry run)`}`}
              </th>
              <Stand of={one} />
              <td>{one.machines.map((machine) => machine.name).join(", ")}</td>
              <td>{personWords(one.requested_by)}</td>
              <td className="when">{when(one.created_at)}</td>
            </tr>
          ))}
        </Table>
      )}
    </div>
  );
}

function Stand({ of }: { of: { state: string; cause?: string | null; hint?: string | null } }) {
  return (
    <td>
      <State of={of.state} />
      {of.cause && (
        <div className="quiet">
          {of.cause} {of.hint}
        </div>
      )}
    </td>
  );
}
