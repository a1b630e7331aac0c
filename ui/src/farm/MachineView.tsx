/** One machine: what it is, what comes next, what can be done with it, and its time line from power-on to ready. */
import { i18n, type MessageDescriptor } from "@lingui/core";
import { msg, plural, t } from "@lingui/core/macro";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { api, body, type MachineDetail, type Me, type Timeline } from "../api/client";
import { ConfirmedAction } from "../kit/ConfirmedAction";
import { type Fact, Facts } from "../kit/Facts";
import { ErrorNotice, State } from "../kit/kit";
import { Marked } from "../kit/Marked";
import { useRefreshedBy } from "../live/useRefreshedBy";
import { barOf, timeText } from "../log/tree";
import { usePrincipal } from "../shell/me";
import { gibibytes, number, when } from "../videos/words";
import { MachineOperations, machineParams } from "./MachineOperations";
import { OtherKeys } from "./OtherKeys";
import "../log/log.css";

export function MachineView() {
  const me = usePrincipal();
  const { name } = useParams({ from: "/run/machines/$name" });
  const params = { path: { name } };
  const found = useQuery({
    queryKey: ["machines", name],
    queryFn: () => body(api.GET("/api/farm/machines/{name}", { params })),
  });
  useRefreshedBy("/api/farm/events", "machines", found.data !== undefined);
  const machine = found.data;
  const timeline = useQuery({
    queryKey: ["machines", name, "timeline"],
    queryFn: () => body(api.GET("/api/farm/machines/{name}/timeline", { params })),
  });
  return (
    <div className="stack">
      <div>
        <Link to="/run/machines">{t`All machines`}</Link>
      </div>
      <div className="row apart">
        <h1 className="row">
          {name} {machine && <State of={machine.state} />}
        </h1>
        {machine && (
          <span className="row">
            <MachineOperations machine={machine} me={me} />
          </span>
        )}
      </div>
      {found.error && <ErrorNotice error={found.error} />}
      {machine && (
        <>
          <p>
            <Marked text={causeOf(machine) || (machine.state === "ready" ? t`No problems.` : machine.next)} />
          </p>
          {machine.conflicts.length > 0 && <OtherKeys of={machine} me={me} />}
          {machine.state === "ready" && me.permissions.includes("cluster:read") && (
            <p>
              <Link to="/run/nodes/$id" params={{ id: name }}>{t`Open its node`}</Link>
            </p>
          )}
          <About of={machine} />
          <Power machine={machine} me={me} />
        </>
      )}
      {timeline.error && !found.error && <ErrorNotice error={timeline.error} />}
      {timeline.data && <Steps of={timeline.data} />}
    </div>
  );
}

const causeOf = ({ cause, hint }: MachineDetail) => [cause, hint].filter(Boolean).join(" ");

/** “4 × GeForce RTX 4060, 8 GB”: equal cards once. */
function cardsOf(hardware: MachineDetail["hardware"]): string {
  const cards = new Map<string, number>();
  for (const one of hardware?.gpus ?? []) {
    const model = one.model || `${one.vendor}:${one.device}`;
    const card = one.vram_mib ? `${model}, ${gibibytes(one.vram_mib)}` : model;
    cards.set(card, (cards.get(card) ?? 0) + 1);
  }
  return [...cards].map(([card, count]) => (count > 1 ? `${count} × ${card}` : card)).join(" · ");
}

function About({ of: machine }: { of: MachineDetail }) {
  const { hardware } = machine;
  const facts: Fact[] = [
    [t`Address`, machine.address],
    [t`Pool`, machine.pool],
    [t`Tags`, machine.tags.join(", ")],
    [t`Code of its key`, machine.code],
    [t`Accepted by`, machine.accepted_by],
    [t`Power`, machine.power],
    [t`First seen`, when(machine.created_at)],
    [t`Last seen`, when(machine.seen_at)],
    [t`Network cards`, machine.macs.join(", ")],
    [t`Maker`, [hardware?.vendor, hardware?.product].filter(Boolean).join(" ")],
    [t`Serial number`, hardware?.serial],
    [t`Firmware`, [hardware?.boot_mode, hardware?.firmware].filter(Boolean).join(" ")],
    [
      t`Processor`,
      hardware?.cpu_threads
        ? `${hardware.cpu_model} · ${plural(hardware.cpu_threads, { one: "# thread", other: "# threads" })}`
        : hardware?.cpu_model,
    ],
    [t`Memory`, hardware?.memory_mib ? gibibytes(hardware.memory_mib) : ""],
    [t`Graphics cards`, cardsOf(hardware)],
    [t`Disks`, hardware?.disks.map((one) => `${one.name} ${number(one.bytes / 1e9)} GB`).join(", ")],
  ];
  return (
    <section className="card" aria-label={t`Facts`}>
      <Facts of={facts.filter(([, value]) => value)} className="facts" dim />
    </section>
  );
}

type PowerAction = "on" | "off" | "cycle";
const SWITCHES: [action: PowerAction, label: MessageDescriptor, words: MessageDescriptor][] = [
  ["on", msg`Switch on`, msg`Its BMC switches it on; its state decides what it boots.`],
  ["off", msg`Switch off`, msg`Its power goes at once: what runs there is lost there, and is made again elsewhere.`],
  ["cycle", msg`Switch off and on`, msg`Its power goes at once: what runs there is lost there, and is made again elsewhere.`],
];

/** By its BMC; a machine without one is switched by hand. */
function Power({ machine, me }: { machine: MachineDetail; me: Me }) {
  const queries = useQueryClient();
  if (!machine.power || !me.permissions.includes("machine:power")) return null;
  const about = machine.name;
  const common = { about, onSettled: () => queries.invalidateQueries({ queryKey: ["machines"] }) };
  const params = machineParams(machine);
  return (
    <section className="card" aria-label={t`Power`}>
      <div className="row">
        {SWITCHES.map(([action, label, words]) => (
          <ConfirmedAction
            key={action}
            {...common}
            label={i18n.t(label)}
            title={`${i18n.t(label)}: ${about}?`}
            confirmLabel={i18n.t(label)}
            action={() => api.POST("/api/farm/machines/{name}/power", { params, body: { action } })}
          >
            <p>{i18n.t(words)}</p>
          </ConfirmedAction>
        ))}
        <ConfirmedAction
          {...common}
          label={t`Boot from the network`}
          title={t`Boot ${about} from the network?`}
          confirmLabel={t`Boot from the network now`}
          action={() => api.POST("/api/farm/machines/{name}/netboot", { params })}
        >
          <p>{t`It starts anew at once; its state decides what it boots there.`}</p>
        </ConfirmedAction>
      </div>
    </section>
  );
}

function Steps({ of: { spans, seconds, critical_seconds: critical } }: { of: Timeline }) {
  const begin = Math.min(...spans.map((one) => Date.parse(one.started_at)));
  const total = Math.max(...spans.map((one) => Date.parse(one.ended_at) - begin), 1);
  if (spans.length === 0) return null;
  return (
    <section className="card waterfall" aria-labelledby="timeline-title">
      <h2 id="timeline-title">{t`From power-on to ready`}</h2>
      <p className="quiet">
        {t`${timeText(seconds * 1000)} in all`}
        {critical > 0 && critical < seconds && ` · ${t`${timeText(critical * 1000)} of it on the critical path`}`}
      </p>
      <ol>
        {spans.map((one) => {
          const [start_ms, duration_ms] = [Date.parse(one.started_at) - begin, one.seconds * 1000];
          return (
            <li key={`${one.source} ${one.name} ${one.started_at}`} className="span-row">
              <span className="name plain" title={when(one.started_at)}>
                {one.name}
                <span className="quiet">{one.source}</span>
              </span>
              <span className="took mono">{timeText(duration_ms)}</span>
              <span className="track" aria-hidden="true">
                <span className={one.critical ? "bar-of" : "bar-of aside"} style={barOf({ start_ms, duration_ms }, total)} />
              </span>
            </li>
          );
        })}
      </ol>
    </section>
  );
}
