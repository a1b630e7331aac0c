/** What happens, line by line; it can be held to be read, and searched back through the server's log. */
import { i18n, type MessageDescriptor } from "@lingui/core";
import { msg, t } from "@lingui/core/macro";
import { useLingui } from "@lingui/react";
import { Link, useNavigate } from "@tanstack/react-router";
import { Fragment, memo, useDeferredValue, useEffect, useRef, useState } from "react";
import { getTracesSpans } from "../api/limits";
import { Field } from "../kit/Field";
import { Form } from "../kit/Form";
import { Empty, ErrorNotice } from "../kit/kit";
import { Marked } from "../kit/Marked";
import { useSettled } from "../kit/useSettled";
import { useLive } from "../live/Live";
import { BUFFER_SIZE, type ServerEvent } from "../live/serverEvent";
import { usePrincipal } from "../shell/me";
import { moment } from "../videos/words";
import { usePast } from "./usePast";
import "./log.css";

export function LogView() {
  const me = usePrincipal();
  // Behind what a person does: thousands of lines a second hold up no click.
  const log = useDeferredValue(useLive().log);
  const [held, setHeld] = useState<ServerEvent[] | null>(null);
  const [filter, setFilter] = useState("");
  const list = useRef<HTMLDivElement>(null);
  const lines = held ?? log;
  const search = useSettled(filter.trim());
  const past = usePast(search);
  const older = past.data?.pages.flatMap((page) => page.events) ?? [];
  const shown = filter ? joined(older, lines.filter(holds(filter)), held ? (held.at(-1)?.id ?? 0) : Infinity) : lines;
  const newest = shown.at(-1)?.id;
  const today = new Date().toDateString();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the newest line says that the log has grown
  useEffect(() => {
    if (list.current && !held) list.current.scrollTop = list.current.scrollHeight;
  }, [newest, held]);
  return (
    <div className="stack">
      <div className="row apart">
        <h1>{t`Log`}</h1>
        <div className="row">
          <input
            aria-label={t`Show only lines with`}
            placeholder={t`Show only lines with`}
            value={filter}
            onChange={(event) => setFilter(event.target.value)}
          />
          <button type="button" aria-pressed={held !== null} onClick={() => setHeld(held ? null : log)}>
            {held ? t`Go on (${newer(log, held)} new)` : t`Pause`}
          </button>
        </div>
      </div>
      {me.permissions.includes("trace:read") && <TraceSearch />}
      {past.error && <ErrorNotice error={past.error} />}
      {filter && past.hasNextPage && (
        <div>
          <button type="button" disabled={past.isFetchingNextPage} onClick={() => void past.fetchNextPage()}>
            {past.isFetchingNextPage ? t`One moment` : t`Look further back`}
          </button>
        </div>
      )}
      {shown.length === 0 && (
        <Empty>
          {filter
            ? past.isPending || search !== filter.trim()
              ? t`One moment`
              : t`No line with “${search}”.`
            : t`Nothing to show. Tool calls, videos, approvals and presenters leave a line here as they happen.`}
        </Empty>
      )}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard */}
      <div className="log" role="log" aria-label={t`What happens`} tabIndex={0} ref={list} hidden={shown.length === 0}>
        <ol>
          {shown.map((one) => (
            <Line key={one.id} of={one} today={today} />
          ))}
        </ol>
      </div>
    </div>
  );
}

/** Drawn once a day: an event never changes, and of another day its date is shown. */
const Line = memo(function Line({ of }: { of: ServerEvent; today: string }) {
  // Another language draws it anew.
  useLingui();
  return (
    <li>
      <time className="mono quiet" dateTime={of.at}>
        {moment(of.at)}
      </time>
      <span className="mono">{of.kind}</span>
      <span>
        <Details of={of} />
      </span>
    </li>
  );
});

/** Leads to the steps of one request, wherever its id comes from. */
function TraceSearch() {
  const [id, setId] = useState("");
  const navigate = useNavigate();
  return (
    <Form
      className="row trace-search"
      error={null}
      onSubmit={() => void navigate({ to: "/run/log/$id", params: { id: id.trim() } })}
    >
      <Field
        bare
        of={getTracesSpans}
        name="record_id"
        label={t`Id of a trace, video, conversation or run`}
        placeholder={t`Id of a trace, video, conversation or run`}
        required
        value={id}
        onChange={setId}
      />
      <button type="submit">{t`Show its steps`}</button>
    </Form>
  );
}

/** Whether a line holds all the words, as the server's search asks. */
function holds(filter: string): (one: ServerEvent) => boolean {
  const wanted = filter.toLowerCase().split(/\s+/);
  return (one) => wanted.every((word) => `${one.kind} ${words(one)}`.toLowerCase().includes(word));
}

/** Each line once, by their order, up to the id `last`. */
function joined(older: ServerEvent[], lines: ServerEvent[], last: number): ServerEvent[] {
  const all = new Map([...older, ...lines].map((one) => [one.id, one]));
  return [...all.values()].filter((one) => one.id <= last).sort((one, other) => one.id - other.id);
}

/** How many lines have come since; with a plus where the first of them are gone again. */
function newer(log: ServerEvent[], held: ServerEvent[]): string {
  const last = held.at(-1)?.id ?? 0;
  const come = log.filter((one) => one.id > last);
  return `${come.length}${come.length === BUFFER_SIZE ? "+" : ""}`;
}

const TELLING = ["title", "persona", "tool", "state", "outcome", "reason", "scene", "waits", "message", "by", "id"];

function details({ data }: ServerEvent): string[] {
  const known = TELLING.map((name) => data[name]).filter((one) => typeof one === "string" && one) as string[];
  const error = data.error as string | { message?: string } | null | undefined;
  const why = typeof error === "string" ? error : error?.message;
  return [...new Set(why ? [...known, why] : known)];
}

const words = (one: ServerEvent) => details(one).join(" · ");

/** Of what an event is about, by the first part of its kind: the view that shows it, and its name. */
const VIEWS: Record<string, [to: "/videos/$id" | "/run/approvals/$id", name: MessageDescriptor]> = {
  render: ["/videos/$id", msg`the video`],
  approval: ["/run/approvals/$id", msg`the approval`],
};

function Details({ of }: { of: ServerEvent }) {
  const [view, name] = VIEWS[of.kind.split(".")[0] ?? ""] ?? [];
  return details(of).map((one, place) => (
    <Fragment key={one}>
      {place > 0 && " · "}
      {view && one === of.data.id ? (
        <Link to={view} params={{ id: one }}>
          {name && i18n.t(name)}
        </Link>
      ) : (
        <Marked text={one} />
      )}
    </Fragment>
  ));
}
