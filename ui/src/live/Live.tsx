/** What happens, for this tab: it fills the log, refreshes what has changed, and knows whether the server is there. */
import { useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useContext, useEffect, useMemo, useRef, useState } from "react";
import { GATHER_MS, RenderRows } from "../videos/rows";
import { connect } from "./connect";
import type { Happening } from "./happening";
import { type Arrival, type HubMessage, MOST_LINES } from "./hub";
import { announceProgress } from "./milestones";

interface Live {
  log: Happening[];
  there: boolean;
  /** No stream for this person: lists are asked for again and again. */
  refused: boolean;
  spoken: string;
  say: (text: string) => void;
}

const Context = createContext<Live>({ log: [], there: true, refused: false, spoken: "", say: () => undefined });
export const useLive = () => useContext(Context);
const ROOMS: Record<string, string[]> = { approvals: ["approvals"], session: ["snapshots"] };
const UNAUTHORIZED = 401;

export function LiveProvider({ principal, children }: { principal: string; children: ReactNode }) {
  const queries = useQueryClient();
  const [log, setLog] = useState<Happening[]>([]);
  const [there, setThere] = useState(true);
  const [refused, setRefused] = useState(false);
  const [spoken, say] = useState("");
  const wasThere = useRef(true);

  useEffect(() => {
    const rows = new RenderRows(queries);
    const gathered = new Set<string>();
    const gather = (key: string) => {
      if (gathered.has(key)) return;
      gathered.add(key);
      setTimeout(() => {
        gathered.delete(key);
        void queries.invalidateQueries({ queryKey: [key] });
      }, GATHER_MS);
    };
    const arrived = ({ event, fresh }: Arrival) => {
      if (!fresh) return;
      const room = event.stream.split(":", 1)[0] ?? "";
      if (room === "render") rows.happened(event);
      for (const key of ROOMS[room] ?? []) gather(key);
      const sentence = announceProgress(event);
      if (sentence) say(sentence);
    };
    const stood = (status: number) => {
      setRefused(status !== 0);
      if (status === UNAUTHORIZED) void queries.invalidateQueries({ queryKey: ["me"] });
    };
    const isThere = (now: boolean) => {
      if (now && !wasThere.current) void queries.invalidateQueries();
      wasThere.current = now;
      setThere(now);
    };
    const disconnect = connect(principal, (news: HubMessage) => {
      if (news.type === "event") {
        if (news.arrival.event.kind !== "render.progress")
          setLog((lines) => [...lines.slice(1 - MOST_LINES), news.arrival.event]);
        arrived(news.arrival);
      } else if (news.type === "start") {
        setLog(news.arrivals.map((one) => one.event));
        for (const one of news.arrivals) arrived(one);
        stood(news.refused);
        isThere(news.there);
      } else if (news.type === "there") isThere(news.there);
      else stood(news.status);
    });
    return () => {
      disconnect();
      rows.close();
    };
  }, [queries, principal]);

  const value = useMemo(() => ({ log, there, refused, spoken, say }), [log, there, refused, spoken]);
  return (
    <Context.Provider value={value}>
      {children}
      <p className="visually-hidden" role="status" aria-live="polite">
        {spoken}
      </p>
    </Context.Provider>
  );
}
