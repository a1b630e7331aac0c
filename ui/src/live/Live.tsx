/** One stream of what happens for the whole page: it fills the log, refreshes what has changed, and knows
 * whether the server is there. */
import { useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useContext, useEffect, useMemo, useRef, useState } from "react";
import type { Render } from "../api/client";
import type { Happening } from "./happening";
import { announceProgress } from "./milestones";
import { follow } from "./sse";

interface Live {
  log: Happening[];
  there: boolean;
  spoken: string;
  say: (text: string) => void;
}

const Context = createContext<Live>({ log: [], there: true, spoken: "", say: () => undefined });
export const useLive = () => useContext(Context);
export const MOST_LINES = 500;
/** Older than the stream by this much is no news: the page's own first questions are younger than that. */
const NEWS_MS = 5000;
const ROOMS: Record<string, string[]> = { render: ["renders"], approvals: ["approvals"], session: ["snapshots"] };

export function LiveProvider({ children }: { children: ReactNode }) {
  const queries = useQueryClient();
  const [log, setLog] = useState<Happening[]>([]);
  const [there, setThere] = useState(true);
  const [spoken, say] = useState("");
  const wasThere = useRef(true);

  useEffect(() => {
    const ended = new AbortController();
    // What the server's clock showed when the stream was first opened: the browser's may be hours off.
    let opened: number | undefined;
    void follow("/api/events?recent=200", ended.signal, {
      opened(answer) {
        opened ??= Date.parse(answer.headers.get("Date") ?? "") || Date.now();
      },
      message(one) {
        const found = JSON.parse(one.data) as Happening;
        setLog((lines) => [...lines.slice(1 - MOST_LINES), found]);
        if (opened !== undefined && Date.parse(found.at) < opened - NEWS_MS) return false;
        const room = found.stream.split(":", 1)[0] ?? "";
        if (found.kind === "render.progress") patch(queries, found);
        else for (const key of ROOMS[room] ?? []) void queries.invalidateQueries({ queryKey: [key] });
        const sentence = announceProgress(found);
        if (sentence) say(sentence);
        return false;
      },
    });
    return () => ended.abort();
  }, [queries]);

  useEffect(() => {
    const look = async () => {
      const answers = await fetch("/api/health", { cache: "no-store" })
        .then((answer) => answer.status < 502)
        .catch(() => false);
      if (answers && !wasThere.current) void queries.invalidateQueries();
      wasThere.current = answers;
      setThere(answers);
    };
    const timer = setInterval(look, 3000);
    return () => clearInterval(timer);
  }, [queries]);

  const value = useMemo(() => ({ log, there, spoken, say }), [log, there, spoken]);
  return (
    <Context.Provider value={value}>
      {children}
      <p className="visually-hidden" role="status" aria-live="polite">
        {spoken}
      </p>
    </Context.Provider>
  );
}

function patch(queries: ReturnType<typeof useQueryClient>, found: Happening): void {
  const { id, waits, ...progress } = found.data as { id: string; waits: string } & Render["progress"];
  queries.setQueryData<Render[]>(["renders"], (list) =>
    list?.map((one) => (one.id === id ? { ...one, waits, progress: { ...one.progress, ...progress } } : one)),
  );
}
