/** All approvals, the newest first; live events keep them fresh, and asking again where none come. */
import { useQuery } from "@tanstack/react-query";
import { api, body } from "../api/client";
import { useLive } from "../live/Live";

const WITHOUT_EVENTS_MS = 20_000;

export function useApprovals(enabled = true) {
  const { refused } = useLive();
  return useQuery({
    queryKey: ["approvals"],
    queryFn: () => body(api.GET("/api/approvals")),
    refetchInterval: refused ? WITHOUT_EVENTS_MS : false,
    enabled,
  });
}
