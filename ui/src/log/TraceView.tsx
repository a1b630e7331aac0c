/** One request as a waterfall: its steps, one inside the other, and what the servers logged meanwhile. */
import { plural, t } from "@lingui/core/macro";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { api, body, type LogLine, type Span, type Trace } from "../api/client";
import { Empty, ErrorNotice } from "../kit/kit";
import { usePrincipal } from "../shell/me";
import { moment, when } from "../videos/words";
import { barOf, inOrder, type Row, timeText } from "./tree";
import "./log.css";

const MAX_ROWS = 300;
const TRACE_ID = /^[0-9a-f]{32}$/;
const MARKS = [0, 0.25, 0.5, 0.75, 1];

export function TraceView() {
  const me = usePrincipal();
  const { id } = useParams({ from: "/run/log/$id" });
  const found = useQuery({
    queryKey: ["trace", id],
    queryFn: () => body(api.GET("/api/traces/{record_id}/spans", { params: { path: { record_id: id } } })),
  });
  const film = useQuery({
    queryKey: ["render", id],
    enabled: id.startsWith("rnd_"),
    retry: false,
    queryFn: () => body(api.GET("/api/renders/{render_id}", { params: { path: { render_id: id } } })),
  });
  const trace = found.data;
  const title = film.data?.title ? t`Steps of “${film.data.title}”` : trace?.spans[0]?.name;
  return (
    <div className="stack">
      <div>
        <Link to="/run/log">{t`All lines`}</Link>
      </div>
      <div className="row apart">
        <h1>{title ?? (found.error ? t`No such steps` : t`One moment`)}</h1>
        <button type="button" onClick={() => void found.refetch()} disabled={found.isFetching}>
          {found.isFetching ? t`One moment` : t`Refresh`}
        </button>
      </div>
      {found.error && <ErrorNotice error={found.error} />}
      {trace && <Waterfall trace={trace} />}
      {me.permissions.includes("log:read") && (trace || TRACE_ID.test(id)) && <Lines trace={trace?.trace_id ?? id} />}
    </div>
  );
}

function Waterfall({ trace }: { trace: Trace }) {
  const [all, setAll] = useState(false);
  const [withQueries, setWithQueries] = useState(false);
  const every = inOrder(trace.spans);
  const steps = every.filter(({ span }) => !isQuery(span));
  const rows = withQueries ? every : steps;
  const queries = every.length - steps.length;
  const shown = all ? rows : rows.slice(0, MAX_ROWS);
  const total = Math.max(trace.duration_ms, 0.001);
  const services = [...new Set(trace.spans.map((one) => one.service))];
  const failed = trace.spans.filter((one) => one.is_error).length;
  return (
    <section className="card waterfall" aria-labelledby="steps-title">
      <div className="row apart">
        <h2 id="steps-title">{t`Steps`}</h2>
        <ul className="row legend" aria-label={t`Processes`}>
          {services.map((one) => (
            <li key={one} className="quiet" data-service={one}>
              {one}
            </li>
          ))}
        </ul>
      </div>
      <p className="quiet">
        {[
          when(trace.started_at),
          timeText(total),
          plural(every.length, { one: "# step", other: "# steps" }),
          failed ? t`${failed} failed` : "",
        ]
          .filter(Boolean)
          .join(" · ")}
        <br />
        {t`Trace`} <code className="id">{trace.trace_id}</code>
      </p>
      {queries > 0 && (
        <label className="row">
          <input type="checkbox" checked={withQueries} onChange={(event) => setWithQueries(event.target.checked)} />
          {plural(queries, { one: "With # step of the database", other: "With # steps of the database" })}
        </label>
      )}
      <div className="axis mono quiet" aria-hidden="true">
        {MARKS.map((one) => (
          <span key={one}>{one ? timeText(one * total) : "0"}</span>
        ))}
      </div>
      <ol>
        {shown.map((row) => (
          <Step key={row.span.span_id} row={row} total={total} />
        ))}
      </ol>
      {rows.length > shown.length && (
        <div>
          <button type="button" onClick={() => setAll(true)}>
            {t`Show the other ${rows.length - shown.length}`}
          </button>
        </div>
      )}
    </section>
  );
}

/** A query that failed is always shown. */
const isQuery = ({ attributes, is_error: failed }: Span) => "db.system.name" in attributes && !failed;

function Step({ row: { span, depth, scene }, total }: { row: Row; total: number }) {
  return (
    <li>
      <details>
        <summary className={span.is_error ? "failed" : undefined}>
          <span className="name" style={{ paddingInlineStart: `${Math.min(depth, 8) * 0.9}rem` }}>
            {span.name}
            {scene && <span className="quiet">{scene}</span>}
            {span.is_error && <span className="chip bad">{String(span.attributes["error.type"] ?? t`failed`)}</span>}
          </span>
          <span className="took mono">{timeText(span.duration_ms)}</span>
          <span className="track" aria-hidden="true">
            <span className="bar-of" data-service={span.service} style={barOf(span, total)} />
          </span>
        </summary>
        <Facts of={span} />
      </details>
    </li>
  );
}

function Facts({ of }: { of: Span }) {
  const facts: [string, string][] = [
    [t`process`, of.service],
    [t`begins after`, timeText(of.start_ms)],
    ...Object.entries(of.attributes).map(([name, value]): [string, string] => [name, String(value)]),
  ];
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt className="quiet">{name}</dt>
          <dd className="mono">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Lines({ trace }: { trace: string }) {
  const found = useQuery({
    queryKey: ["logs", trace],
    queryFn: () => body(api.GET("/api/logs", { params: { query: { trace } } })),
  });
  return (
    <section className="stack" aria-labelledby="logged-title">
      <h2 id="logged-title">{t`What the servers logged`}</h2>
      {found.error && <ErrorNotice error={found.error} />}
      {found.data?.length === 0 && <Empty>{t`No line with this trace. Lines go with their files, the oldest first.`}</Empty>}
      {(found.data?.length ?? 0) > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
        <div className="log" role="log" aria-label={t`Log lines`} tabIndex={0}>
          <ol>
            {found.data?.map((one, place) => (
              <li key={place}>
                <time className="mono quiet" dateTime={one.at}>
                  {moment(one.at)}
                </time>
                <span className="mono">{[one.host, one.service].filter(Boolean).join("/")}</span>
                <span>
                  {one.level !== "info" && <span className={`chip ${TONES[one.level] ?? ""}`}>{one.level}</span>} {one.message}{" "}
                  <span className="quiet mono">{fieldsOf(one)}</span>
                </span>
              </li>
            ))}
          </ol>
        </div>
      )}
    </section>
  );
}

const TONES: Record<string, string> = { warning: "warn", error: "bad", critical: "bad" };

const fieldsOf = ({ fields }: LogLine) =>
  Object.entries(fields)
    .map(([name, value]) => `${name}=${typeof value === "object" ? JSON.stringify(value) : value}`)
    .join(" ");
