/** The videos page by page, the newest first, and single rows of them; live events keep them fresh. */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { api, nextCursor } from "../api/client";
import { useLive } from "../live/Live";
import { fetchRow, type RenderPage } from "./rows";

const PAGE_ROWS = 60;
/** Asked for again where no events come: those who may not read them. */
const WITHOUT_EVENTS_MS = 15_000;

/** `search`: words that must all occur; previews are no videos. */
export function useRenders(search = "") {
  const { refused } = useLive();
  return useInfiniteQuery({
    queryKey: ["renders", search],
    queryFn: ({ pageParam }) => fetchPage(search, pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page: RenderPage) => page.next,
    placeholderData: (before) => before,
    staleTime: search ? 0 : Infinity,
    refetchInterval: refused ? WITHOUT_EVENTS_MS : false,
  });
}

async function fetchPage(search: string, cursor: string | undefined): Promise<RenderPage> {
  const query = { limit: PAGE_ROWS, kind: ["video", "lipsync"] as ("video" | "lipsync")[] };
  const { data, response } = await api.GET("/api/renders", {
    params: { query: { ...query, ...(search && { q: search }), ...(cursor && { cursor }) } },
  });
  const rows = data ?? [];
  return {
    rows,
    total: Number(response.headers.get("X-Total-Count") ?? rows.length),
    next: nextCursor(response),
  };
}

/** One video's row, wherever in the list it stands; null when it is gone. */
export function useRenderRow(id: string) {
  const { refused } = useLive();
  return useQuery({
    queryKey: ["render-row", id],
    queryFn: async () => (await fetchRow(id)) ?? null,
    staleTime: Infinity,
    refetchInterval: refused ? WITHOUT_EVENTS_MS : false,
  });
}
