/** Lines of the server's log that hold some words, page by page, the newest first. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { api, nextCursor } from "../api/client";
import type { ServerEvent } from "../live/serverEvent";

const PAGE_LINES = 200;

export function usePast(search: string) {
  return useInfiniteQuery({
    queryKey: ["log", search],
    queryFn: async ({ pageParam }) => {
      const query = { q: search, kinds: ["-render.progress"], limit: PAGE_LINES, ...(pageParam && { cursor: pageParam }) };
      const { data, response } = await api.GET("/api/log", { params: { query } });
      return { events: (data ?? []) as ServerEvent[], next: Number(nextCursor(response)) || undefined };
    },
    initialPageParam: undefined as number | undefined,
    getNextPageParam: (page) => page.next,
    enabled: search !== "",
    staleTime: 0,
  });
}
