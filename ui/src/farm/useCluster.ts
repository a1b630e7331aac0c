/** Machines, nodes and jobs of the farm; nodes and jobs are asked for again when its events tell of a change, and not by a clock. */
import { useQuery } from "@tanstack/react-query";
import { api, body } from "../api/client";
import type { Message } from "../live/sse";
import { useRefreshedBy } from "../live/useRefreshedBy";

/** `enabled`: for those who may read them. */
export const useMachines = (enabled = true) =>
  useQuery({ queryKey: ["machines"], queryFn: () => body(api.GET("/api/farm/machines")), enabled });

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

const tellsOfChange = ({ event }: Message) => event === "cluster.changed";

/** `enabled`: once there is a farm. */
const useClusterEvents = (enabled: boolean) => useRefreshedBy("/api/farm/cluster/events", "nodes jobs", enabled, tellsOfChange);
