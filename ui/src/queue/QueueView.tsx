/** The queue: what is made now and where, what waits and why, in the order in which it will run. */

import { plural, t } from "@lingui/core/macro";
import { useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type ReactNode, Suspense, useState } from "react";
import type { QueueEntry } from "../api/client";
import { usePersonas } from "../create/usePersonas";
import { Empty, ErrorNotice, State } from "../kit/kit";
import { lazyPart } from "../kit/part";
import { personWords } from "../kit/person";
import { stateWords } from "../kit/State";
import { useLive } from "../live/Live";
import { usePrincipal } from "../shell/me";
import { pictureUrl } from "../videos/picture";
import { duration, moment, number, stageWords, waitsWords } from "../videos/words";
import { PrioritySelect } from "./PrioritySelect";
import { useQueue } from "./useQueue";
import "./queue.css";

const CancelDialog = lazyPart(async () => ({ default: (await import("./CancelDialog")).CancelDialog }));

export function QueueView() {
  const me = usePrincipal();
  const { refused } = useLive();
  const queries = useQueryClient();
  const queue = useQueue();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [cancelling, setCancelling] = useState<readonly string[] | null>(null);
  const mayCancel = me.permissions.includes("render:cancel");
  const { running = [], waiting = [], total = 0 } = queue.data ?? {};
  const all = [...running, ...waiting];
  // Those that have ended meanwhile are chosen no more.
  const marked = all.filter((one) => chosen.has(one.id)).map((one) => one.id);
  const choose = (id: string, on: boolean) => {
    const next = new Set(chosen);
    if (on) next.add(id);
    else next.delete(id);
    setChosen(next);
  };
  const item = (one: QueueEntry, children: ReactNode) => (
    <Item
      key={one.id}
      of={one}
      chosen={mayCancel ? chosen.has(one.id) : undefined}
      onChoose={(on) => choose(one.id, on)}
      onCancel={() => setCancelling([one.id])}
    >
      {children}
    </Item>
  );
  return (
    <div className="stack queue">
      <div className="row apart">
        <h1>{t`Queue`}</h1>
        {(refused || queue.error) && (
          <button type="button" disabled={queue.isFetching} onClick={() => void queue.refetch()}>{t`Refresh`}</button>
        )}
      </div>
      {queue.error && <ErrorNotice error={queue.error} />}
      {!queue.data && !queue.error && <p className="empty">{t`One moment`}</p>}
      {queue.data && all.length === 0 && (
        <Empty>
          {t`Nothing runs and nothing waits. A video that is asked for stands here until it is made.`}{" "}
          {me.permissions.includes("project:create") && <Link to="/">{t`New video`}</Link>}
        </Empty>
      )}
      {mayCancel && all.length > 1 && (
        <div className="row chosen">
          <label className="row">
            <input
              type="checkbox"
              checked={marked.length === all.length}
              onChange={({ target }) => setChosen(new Set(target.checked ? all.map((one) => one.id) : []))}
            />
            {t`Choose all`}
          </label>
          <button type="button" className="danger" disabled={marked.length === 0} onClick={() => setCancelling(marked)}>
            {marked.length === 0
              ? t`Cancel what is chosen`
              : t`Cancel ${plural(marked.length, { one: "# video", other: "# videos" })}`}
          </button>
        </div>
      )}
      {running.length > 0 && (
        <section className="stack" aria-labelledby="queue-running">
          <h2 id="queue-running">{t`Being made`}</h2>
          <ul className="stack">{running.map((one) => item(one, <Working of={one} />))}</ul>
        </section>
      )}
      {waiting.length > 0 && (
        <section className="stack" aria-labelledby="queue-waiting">
          <h2 id="queue-waiting">{t`Waiting, the next one first`}</h2>
          <ol className="stack">
            {waiting.map((one) => item(one, <Waiting of={one} may={me.permissions.includes("render:update")} />))}
          </ol>
          {total > waiting.length && <p className="quiet">{t`and ${total - waiting.length} more`}</p>}
        </section>
      )}
      {cancelling && (
        <Suspense>
          <CancelDialog
            renders={cancelling}
            onClose={() => setCancelling(null)}
            onDone={() => {
              setChosen(new Set());
              void queries.invalidateQueries({ queryKey: ["queue"] });
            }}
          />
        </Suspense>
      )}
    </div>
  );
}

interface ItemProps {
  of: QueueEntry;
  /** Undefined where nothing may be cancelled. */
  chosen: boolean | undefined;
  onChoose: (on: boolean) => void;
  onCancel: () => void;
  children: ReactNode;
}

function Item({ of, chosen, onChoose, onCancel, children }: ItemProps) {
  const picture = pictureUrl(of, 160);
  return (
    <li className="card queued">
      {chosen !== undefined && (
        <input
          type="checkbox"
          aria-label={t`Choose ${of.title}`}
          checked={chosen}
          onChange={({ target }) => onChoose(target.checked)}
        />
      )}
      <span className="picture">
        {picture ? <img src={picture} alt="" decoding="async" /> : <span className="place">{of.position ?? ""}</span>}
      </span>
      <div className="about">
        <div className="row apart">
          <strong>
            <Link to="/videos/$id" params={{ id: of.id }} preload={false}>
              {of.title}
            </Link>
          </strong>
          {of.cancel_requested && <State of="cancelled">{t`cancelling`}</State>}
        </div>
        <p className="quiet">
          <Origin of={of} />
        </p>
        {children}
      </div>
      {chosen !== undefined && (
        <button type="button" disabled={of.cancel_requested} aria-label={t`Cancel ${of.title}`} onClick={onCancel}>
          {t`Cancel`}
        </button>
      )}
    </li>
  );
}

/** Of which project, by which presenter, for whom. */
function Origin({ of }: { of: QueueEntry }) {
  const personas = usePersonas().data ?? [];
  const names = of.personas.map((id) => personas.find((one) => one.id === id)?.persona?.name ?? id);
  const kind = of.kind === "preview" ? t`preview` : of.kind === "lipsync" ? t`lip sync` : "";
  return [kind, of.project_title, names.join(", "), personWords(of.requested_by), t`since ${moment(of.created_at)}`]
    .filter(Boolean)
    .join(" · ");
}

function Working({ of }: { of: QueueEntry }) {
  const { stage = "queued", frames_done: made = 0, frames_total: total = 0, eta_s: eta, nodes = [] } = of.progress;
  return (
    <>
      <progress max={1} value={total ? made / total : 0} aria-label={t`Progress of ${of.title}`} />
      <p className="how-far">
        {[
          stageWords(stage === "queued" ? of.state : stage),
          total ? t`frame ${number(made)} of ${number(total)}` : "",
          eta == null || of.why ? "" : t`${duration(eta)} left`,
          nodes.length > 0 ? t`on ${nodes.join(", ")}` : "",
        ]
          .filter(Boolean)
          .join(" · ")}
      </p>
      {of.why && <p className="quiet">{waitsWords(of.why)}</p>}
    </>
  );
}

function Waiting({ of, may }: { of: QueueEntry; may: boolean }) {
  return (
    <>
      <p className="why">{whyWords(of)}</p>
      {may && <PrioritySelect of={of} />}
    </>
  );
}

/** Of what no process has taken yet the page knows the words; of the rest the server has them. */
function whyWords(of: QueueEntry): string {
  const ahead = (of.position ?? 1) - 1;
  if (/^waits: (\d+ ahead of it|next in line)$/.test(of.why))
    return ahead > 0 ? t`Waits: ${plural(ahead, { one: "# is", other: "# are" })} ahead of it.` : t`Waits: it is the next one.`;
  return of.why === of.state ? stateWords(of.state) : waitsWords(of.why);
}
