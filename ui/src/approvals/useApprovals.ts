/** All approvals, the newest first; live events keep them fresh, and asking again where none come. */
import { useQuery } from "@tanstack/react-query";
import { api, body } from "../api/client";
import { useIntervalWithoutEvents } from "../live/Live";

const WITHOUT_EVENTS_MS = 20_000;

export function useApprovals(enabled = true) {
  const refetchInterval = useIntervalWithoutEvents(WITHOUT_EVENTS_MS);
  return useQuery({
    queryKey: ["approvals"],
    queryFn: () => body(api.GET("/api/approvals")),
    refetchInterval,
    enabled,
  });
}
