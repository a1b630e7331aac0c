/** The health of the installation; live events tell of changes. The server checks at most once in ten seconds. */
import { useQuery } from "@tanstack/react-query";
import { api, body } from "../api/client";
import { useIntervalWithoutEvents } from "../live/Live";

const WITHOUT_EVENTS_MS = 30_000;

/** `everyMs`: asked for again without an event, where somebody looks at it. */
export function useHealth(enabled = true, everyMs?: number) {
  const withoutEvents = useIntervalWithoutEvents(WITHOUT_EVENTS_MS);
  return useQuery({
    queryKey: ["health"],
    queryFn: () => body(api.GET("/api/health/installation")),
    refetchInterval: everyMs ?? withoutEvents,
    enabled,
  });
}
