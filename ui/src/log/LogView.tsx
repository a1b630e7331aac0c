/** What happens, line by line; it can be held to be read. */
import { useEffect, useRef, useState } from "react";
import { Empty } from "../kit/kit";
import { Told } from "../kit/Told";
import type { Happening } from "../live/happening";
import { MOST_LINES, useLive } from "../live/Live";

export function LogView() {
  const { log } = useLive();
  const [held, setHeld] = useState<Happening[] | null>(null);
  const [filter, setFilter] = useState("");
  const list = useRef<HTMLDivElement>(null);
  const lines = (held ?? log).filter(isLine);
  const shown = lines.filter((one) => `${one.kind} ${words(one)}`.toLowerCase().includes(filter.toLowerCase()));
  // biome-ignore lint/correctness/useExhaustiveDependencies: it says that the log has grown
  useEffect(() => {
    if (list.current && !held) list.current.scrollTop = list.current.scrollHeight;
  }, [shown.length, held]);
  return (
    <div className="stack">
      <div className="row apart">
        <h1>Log</h1>
        <div className="row">
          <input
            aria-label="Show only lines with"
            placeholder="Show only lines with"
            value={filter}
            onChange={(event) => setFilter(event.target.value)}
          />
          <button type="button" aria-pressed={held !== null} onClick={() => setHeld(held ? null : log)}>
            {held ? `Go on (${newer(log, held)} new)` : "Pause"}
          </button>
        </div>
      </div>
      {shown.length === 0 && (
        <Empty>Nothing to show. Tool calls, renders, approvals and personas leave a line here as they happen.</Empty>
      )}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard */}
      <div className="log" role="log" aria-label="What happens" tabIndex={0} ref={list} hidden={shown.length === 0}>
        <ol>
          {shown.map((one) => (
            <li key={one.id}>
              <time className="mono quiet" dateTime={one.at}>
                {new Date(one.at).toLocaleTimeString()}
              </time>
              <span className="mono">{one.kind}</span>
              <span>
                <Told text={words(one)} />
              </span>
            </li>
          ))}
        </ol>
      </div>
    </div>
  );
}

const isLine = (one: Happening) => one.kind !== "render.progress";

/** How many lines have come since; with a plus where the first of them are gone again. */
function newer(log: Happening[], held: Happening[]): string {
  const last = held.at(-1)?.id ?? 0;
  const come = log.filter((one) => one.id > last);
  return `${come.filter(isLine).length}${come.length === MOST_LINES ? "+" : ""}`;
}

const TELLING = ["title", "persona", "tool", "state", "outcome", "reason", "scene", "waits", "message", "by", "id"];

function words({ data }: Happening): string {
  const known = TELLING.map((name) => data[name]).filter((one) => typeof one === "string" && one);
  const error = data.error as string | { message?: string } | null | undefined;
  const why = typeof error === "string" ? error : error?.message;
  return [...new Set([...known, why])].filter(Boolean).join(" · ");
}
