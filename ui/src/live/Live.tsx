/** What happens, for this tab: it fills the log, refreshes what has changed, and knows whether the server is there. */
import { useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useContext, useEffect, useMemo, useRef, useState } from "react";
import { fetchPart } from "../kit/part";
import { GATHER_MS, RenderRows } from "../videos/rows";
import { connect } from "./connect";
import type { Arrival, HubMessage } from "./hub";
import { BUFFER_SIZE, type ServerEvent } from "./serverEvent";

interface Live {
  log: ServerEvent[];
  serverReachable: boolean;
  /** No stream for this person: lists are asked for again and again. */
  refused: boolean;
  announcement: string;
  announce: (text: string) => void;
}

const liveEvents = new EventTarget();

/** Tells of each event that happens from now on. */
export function onLiveEvent(act: (event: ServerEvent) => void): () => void {
  const on = (one: Event) => act((one as CustomEvent<ServerEvent>).detail);
  liveEvents.addEventListener("event", on);
  return () => liveEvents.removeEventListener("event", on);
}

const Context = createContext<Live>({
  log: [],
  serverReachable: true,
  refused: false,
  announcement: "",
  announce: () => undefined,
});
export const useLive = () => useContext(Context);

/** The `refetchInterval` of what events keep fresh: `ms` for those who may not read them. */
export const useIntervalWithoutEvents = (ms: number) => (useContext(Context).refused ? ms : false);
const ROOMS: Record<string, string[]> = {
  approvals: ["approvals"],
  session: ["snapshots", "triggers"],
  publication: ["publications"],
  installation: ["health"],
};
const UNAUTHORIZED = 401;

/** Kinds of events that are told aloud. */
const ANNOUNCED = ["render.progress", "render.state", "approval.requested"];

/** Its words are fetched once there is something to say. */
async function say(event: ServerEvent, announce: (text: string) => void): Promise<void> {
  const sentence = (await fetchPart(() => import("./milestones"))).announceProgress(event);
  if (sentence) announce(sentence);
}

export function LiveProvider({ principal, children }: { principal: string; children: ReactNode }) {
  const queries = useQueryClient();
  const [log, setLog] = useState<ServerEvent[]>([]);
  const [serverReachable, setServerReachable] = useState(true);
  const [refused, setRefused] = useState(false);
  const [announcement, announce] = useState("");
  const wasReachable = useRef(true);

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
    const arrived = ({ event, afterInitialLoad }: Arrival) => {
      if (!afterInitialLoad) return;
      liveEvents.dispatchEvent(new CustomEvent("event", { detail: event }));
      const room = event.stream.split(":", 1)[0] ?? "";
      if (room === "render") rows.happened(event);
      for (const key of ROOMS[room] ?? []) gather(key);
      if (ANNOUNCED.includes(event.kind)) void say(event, announce);
    };
    const updateRefused = (status: number) => {
      setRefused(status !== 0);
      if (status === UNAUTHORIZED) void queries.invalidateQueries({ queryKey: ["me"] });
    };
    const updateReachable = (now: boolean) => {
      if (now && !wasReachable.current) void queries.invalidateQueries();
      wasReachable.current = now;
      setServerReachable(now);
    };
    const disconnect = connect(principal, (message: HubMessage) => {
      if (message.type === "events") {
        // Progress of frames is frequent, and not part of the log.
        const lines = message.arrivals.map((one) => one.event).filter((one) => one.kind !== "render.progress");
        if (lines.length > 0) setLog((before) => [...before, ...lines].slice(-BUFFER_SIZE));
        for (const one of message.arrivals) arrived(one);
      } else if (message.type === "start") {
        setLog(message.arrivals.map((one) => one.event));
        for (const one of message.arrivals) arrived(one);
        updateRefused(message.refusedStatus);
        updateReachable(message.serverReachable);
      } else if (message.type === "reachable") updateReachable(message.serverReachable);
      else updateRefused(message.status);
    });
    return () => {
      disconnect();
      rows.close();
    };
  }, [queries, principal]);

  const value = useMemo(
    () => ({ log, serverReachable, refused, announcement, announce }),
    [log, serverReachable, refused, announcement],
  );
  return (
    <Context.Provider value={value}>
      {children}
      <p className="visually-hidden" role="status" aria-live="polite">
        {announcement}
      </p>
    </Context.Provider>
  );
}
