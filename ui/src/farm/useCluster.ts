/** Nodes and jobs of the farm; they are asked for again when its events tell of a change, and not by a clock. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { api, body } from "../api/client";
import { follow } from "../live/sse";

/** Changes of a busy farm that come within this time are answered by one question. */
const GATHER_MS = 1000;

export function useNodes() {
  const nodes = useQuery({ queryKey: ["nodes"], queryFn: () => body(api.GET("/api/farm/nodes")) });
  useClusterEvents(nodes.data !== undefined);
  return nodes;
}

/** `steps`: with the steps of videos, each of which is a job. */
export function useJobs(steps: boolean) {
  const jobs = useQuery({
    queryKey: ["jobs", "list", steps],
    queryFn: () => body(api.GET("/api/farm/jobs", { params: { query: { steps } } })),
    placeholderData: (before) => before,
  });
  useClusterEvents(jobs.data !== undefined);
  return jobs;
}

export function useJob(id: string) {
  const job = useQuery({
    queryKey: ["jobs", "one", id],
    queryFn: () => body(api.GET("/api/farm/jobs/{job}", { params: { path: { job: id } } })),
  });
  useClusterEvents(job.data !== undefined);
  return job;
}

/** Opens a line to the farm while a view of it is shown, once there is a farm. */
function useClusterEvents(enabled: boolean): void {
  const queries = useQueryClient();
  useEffect(() => {
    if (!enabled) return;
    const line = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const changed = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        for (const key of ["nodes", "jobs"]) void queries.invalidateQueries({ queryKey: [key] });
      }, GATHER_MS);
    };
    void follow("/api/farm/cluster/events", line.signal, {
      // What has happened while the line was not open is not told.
      opened: changed,
      message: ({ event }) => {
        if (event === "cluster.changed") changed();
        return false;
      },
    });
    return () => {
      line.abort();
      clearTimeout(timer);
    };
  }, [enabled, queries]);
}
