/** The nodes of the farm, or the one whose address is open: its cards, and who holds what of it. */
import { plural, t } from "@lingui/core/macro";
import { Link, useParams } from "@tanstack/react-router";
import { Suspense, useState } from "react";
import type { FarmNode } from "../api/client";
import { CopyButton } from "../kit/CopyButton";
import { ErrorNotice, NoRows, State, Table } from "../kit/kit";
import { lazyPart } from "../kit/part";
import { ShortId } from "../kit/ShortId";
import { usePrincipal } from "../shell/me";
import { gibibytes, number, when } from "../videos/words";
import { NoFarm } from "./NoFarm";
import { useMachines, useNodes } from "./useCluster";
import "../log/log.css";
import "./farm.css";

const Drain = lazyPart(async () => ({ default: (await import("./MachineOperations")).Drain }));

export function NodesView() {
  const { id } = useParams({ strict: false });
  const nodes = useNodes();
  if (id !== undefined) return <Detail name={id} of={nodes} />;
  return (
    <div className="stack">
      <h1>{t`Nodes`}</h1>
      <NoFarm error={nodes.error}>
        <NoRows of={nodes}>{t`The farm has no node yet. A machine that is enrolled becomes one.`}</NoRows>
      </NoFarm>
      {(nodes.data?.length ?? 0) > 0 && (
        <Table name={t`Nodes of the farm`} heads={[t`Node`, t`State`, t`Cards`, t`Memory`, t`Leases`]} last={t`Actions`}>
          {nodes.data?.map((one) => (
            <tr key={one.id}>
              <th scope="row">
                <Link to="/run/nodes/$id" params={{ id: one.name }}>
                  {one.name}
                </Link>
                <div className="quiet">{one.pool}</div>
              </th>
              <td>
                <NodeState of={one} />
              </td>
              <td>
                <Cards of={one} />
              </td>
              <td>
                <Held of={one} />
              </td>
              <td>{one.leases.length}</td>
              <td>
                <DrainButton of={one} />
              </td>
            </tr>
          ))}
        </Table>
      )}
    </div>
  );
}

function Detail({ name, of }: { name: string; of: ReturnType<typeof useNodes> }) {
  const node = of.data?.find((one) => one.name === name || one.id === name);
  return (
    <div className="stack">
      <div>
        <Link to="/run/nodes">{t`All nodes`}</Link>
      </div>
      <div className="row apart">
        <h1>{node?.name ?? name}</h1>
        {node && (
          <div className="row">
            <NodeState of={node} />
            <DrainButton of={node} />
          </div>
        )}
      </div>
      {of.error && (
        <NoFarm error={of.error}>
          <ErrorNotice error={of.error} />
        </NoFarm>
      )}
      {!of.data && !of.error && <p className="empty">{t`One moment`}</p>}
      {of.data && !node && <p className="empty">{t`The farm has no node of this name.`}</p>}
      {node && (
        <>
          <dl className="card node-facts">
            <div>
              <dt className="quiet">{t`Pool`}</dt>
              <dd>{node.pool}</dd>
            </div>
            <MachineOf node={node} />
            <div>
              <dt className="quiet">{t`Memory`}</dt>
              <dd>
                <Held of={node} />
              </dd>
            </div>
            <div>
              <dt className="quiet">{t`Processor`}</dt>
              <dd>
                {t`${number(sum(node, "cpu_mhz"))} of ${number(node.cpu_mhz)} MHz`}
                <meter className="held" max={node.cpu_mhz} value={sum(node, "cpu_mhz")} aria-label={t`Processor that is held`} />
              </dd>
            </div>
          </dl>
          <h2>{t`Cards`}</h2>
          {node.cards.length === 0 && <p className="quiet">{t`It has none.`}</p>}
          {node.cards.length > 0 && (
            <Table name={t`Cards`} heads={[t`Model`, t`Memory`, t`Shares`, t`Id`]}>
              {node.cards.map((card) => (
                <tr key={card.uuid}>
                  <th scope="row">
                    {card.model}
                    {card.fault && <div className="problem">{card.fault}</div>}
                  </th>
                  <td>
                    <CardMemory of={card} />
                  </td>
                  <td>{card.shares > 0 ? card.shares : t`as a whole`}</td>
                  <td className="mono">
                    <span>
                      <ShortId of={card.uuid} /> <CopyButton text={card.uuid} about={card.uuid} className="link" />
                    </span>
                  </td>
                </tr>
              ))}
            </Table>
          )}
          <h2>{t`Leases`}</h2>
          <Leases of={node} />
        </>
      )}
    </div>
  );
}

function Leases({ of }: { of: FarmNode }) {
  if (of.leases.length === 0) return <p className="quiet">{t`Nothing holds any of it.`}</p>;
  const models = new Map(of.cards.map((card) => [card.uuid, card.model]));
  return (
    <Table name={t`Leases`} heads={[t`Held by`, t`Cards`, t`Memory`, t`Processor`, t`Since`]}>
      {of.leases.map((one) => (
        <tr key={one.allocation}>
          <th scope="row">
            {one.render ? (
              <Link to="/videos/$id" params={{ id: one.render }}>
                {one.title}
              </Link>
            ) : one.step ? (
              t`a video that you do not see`
            ) : (
              one.job
            )}
            <div>
              <Link className="quiet" to="/run/jobs/$id" params={{ id: one.job }}>
                {one.render || one.step ? one.job : t`the job`}
              </Link>
            </div>
          </th>
          <td>
            {one.cards.map((uuid) => models.get(uuid) ?? uuid).join(", ") || "–"}
            {one.shares > 0 && <div className="quiet">{plural(one.shares, { one: "# share", other: "# shares" })}</div>}
          </td>
          <td>{gibibytes(one.memory_mib)}</td>
          <td>{t`${number(one.cpu_mhz)} MHz`}</td>
          <td className="when">{when(one.since)}</td>
        </tr>
      ))}
    </Table>
  );
}

function NodeState({ of }: { of: FarmNode }) {
  if (of.state === "ineligible") return <State of="draining">{t`takes no new work`}</State>;
  if (of.state === "down") return <State of="failed">{t`down`}</State>;
  return <State of={of.state} />;
}

function Cards({ of }: { of: FarmNode }) {
  if (of.cards.length === 0) return "–";
  return (
    <ul className="stack-tight">
      {of.cards.map((card) => (
        <li key={card.uuid}>
          {card.model} {card.fault ? <State of="failed">{t`broken`}</State> : <CardMemory of={card} />}
        </li>
      ))}
    </ul>
  );
}

function CardMemory({ of }: { of: FarmNode["cards"][number] }) {
  return (
    <>
      <span className="quiet">{t`${gibibytes(of.held_mib)} of ${gibibytes(of.memory_mib)} held`}</span>
      <meter className="held" max={of.memory_mib} value={of.held_mib} aria-label={t`Memory of the card that is held`} />
    </>
  );
}

function Held({ of }: { of: FarmNode }) {
  const held = sum(of, "memory_mib");
  return (
    <>
      {t`${gibibytes(held)} of ${gibibytes(of.memory_mib)}`}
      <meter className="held" max={of.memory_mib} value={held} aria-label={t`Memory that is held`} />
    </>
  );
}

/** The machine of a node has its name, where the farm's own provisioning has installed it. */
function MachineOf({ node }: { node: FarmNode }) {
  const machines = useMachines(usePrincipal().permissions.includes("machine:read"));
  if (!machines.data?.some((one) => one.name === node.name)) return null;
  return (
    <div>
      <dt className="quiet">{t`Machine`}</dt>
      <dd>
        <Link to="/run/machines/$name" params={{ name: node.name }}>{t`Hardware, power and time line`}</Link>
      </dd>
    </div>
  );
}

/** Offered to those who may, for a node that can do it. */
function DrainButton({ of }: { of: FarmNode }) {
  const { permissions } = usePrincipal();
  const [open, setOpen] = useState(false);
  const operation = of.eligible ? "drain" : "undrain";
  if (!permissions.includes("machine:drain") || of.state === "down") return null;
  const label = operation === "drain" ? t`Drain` : t`Take work again`;
  return (
    <span className="row ends">
      <button type="button" aria-label={`${label} ${of.name}`} onClick={() => setOpen(true)}>
        {label}
      </button>
      {open && (
        <Suspense>
          <Drain machine={{ id: of.name, name: of.name }} operation={operation} onClose={() => setOpen(false)} />
        </Suspense>
      )}
    </span>
  );
}

const sum = (of: FarmNode, what: "memory_mib" | "cpu_mhz") => of.leases.reduce((all, lease) => all + lease[what], 0);
