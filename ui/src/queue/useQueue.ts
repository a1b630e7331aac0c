/** The queue, kept true by live events: progress is written into it, and what moves is asked for again. */
import { type QueryClient, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { api, body, type Queue, type QueueEntry } from "../api/client";
import { onLiveEvent } from "../live/Live";
import type { ServerEvent } from "../live/serverEvent";
import { GATHER_MS } from "../videos/rows";

const KEY = ["queue"];

export function useQueue() {
  const queries = useQueryClient();
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = onLiveEvent((event) => {
      if (!event.stream.startsWith("render:")) return;
      if (event.kind === "render.progress") return progress(queries, event);
      timer ??= setTimeout(() => {
        timer = undefined;
        void queries.invalidateQueries({ queryKey: KEY });
      }, GATHER_MS);
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [queries]);
  return useQuery({ queryKey: KEY, queryFn: () => body(api.GET("/api/queue")) });
}

/** What waits for a node tells so by its progress, too. */
function progress(queries: QueryClient, event: ServerEvent): void {
  const { id, waits, ...now } = event.data as { id: string; waits: string } & QueueEntry["progress"];
  const newer = (one: QueueEntry): QueueEntry =>
    one.id === id ? { ...one, why: waits || (one.position ? one.why : ""), progress: { ...one.progress, ...now } } : one;
  queries.setQueryData<Queue>(
    KEY,
    (queue) => queue && { ...queue, running: queue.running.map(newer), waiting: queue.waiting.map(newer) },
  );
}
