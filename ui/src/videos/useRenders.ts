/** The videos page by page, the newest first, and single rows of them; live events keep them fresh. */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { api, nextCursor } from "../api/client";
import { useIntervalWithoutEvents } from "../live/Live";
import { fetchRow, type RenderPage } from "./rows";

export const PAGE_ROWS = 60;
/** Asked for again where no events come: those who may not read them. */
const WITHOUT_EVENTS_MS = 15_000;

/** What the wall shows: words that must all occur, a kind of state, a presenter, an order. */
export interface Facets {
  q?: string;
  state?: StateGroup;
  presenter?: string;
  sort?: Sort;
}

export const STATE_GROUPS = {
  done: ["done"],
  working: ["queued", "placed", "running"],
  failed: ["failed"],
  cancelled: ["cancelled"],
} as const;
export const SORTS = ["-created", "created", "title", "-duration"] as const;
export type StateGroup = keyof typeof STATE_GROUPS;
export type Sort = (typeof SORTS)[number];

/** Takes what is known from an address. */
export function facetsOf({ q, state, presenter, sort }: Record<string, unknown>): Facets {
  return {
    ...(typeof q === "string" && q && { q }),
    ...(typeof state === "string" && state in STATE_GROUPS && { state: state as StateGroup }),
    ...(typeof presenter === "string" && presenter && { presenter }),
    ...(SORTS.slice(1).includes(sort as Sort) && { sort: sort as Sort }),
  };
}

/** Previews are no videos. */
export function useRenders(facets: Facets = {}) {
  const refetchInterval = useIntervalWithoutEvents(WITHOUT_EVENTS_MS);
  const any = Object.keys(facets).length === 0;
  return useInfiniteQuery({
    queryKey: ["renders", any ? "" : facets],
    queryFn: ({ pageParam }) => fetchPage(facets, pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page: RenderPage) => page.next,
    placeholderData: (before) => before,
    staleTime: any ? Infinity : 0,
    refetchInterval,
  });
}

async function fetchPage({ q, state, presenter, sort }: Facets, cursor: string | undefined): Promise<RenderPage> {
  const query = {
    limit: PAGE_ROWS,
    kind: ["video", "lipsync"] as ("video" | "lipsync")[],
    ...(q && { q }),
    ...(state && { state: [...STATE_GROUPS[state]] }),
    ...(presenter && { persona: presenter }),
    ...(sort && { sort }),
    ...(cursor && { cursor }),
  };
  const { data, response } = await api.GET("/api/renders", { params: { query } });
  const rows = data ?? [];
  return {
    rows,
    total: Number(response.headers.get("X-Total-Count") ?? rows.length),
    next: nextCursor(response),
  };
}

/** One video's row, wherever in the list it stands; null when it is gone. */
export function useRenderRow(id: string) {
  const refetchInterval = useIntervalWithoutEvents(WITHOUT_EVENTS_MS);
  return useQuery({
    queryKey: ["render-row", id],
    queryFn: async () => (await fetchRow(id)) ?? null,
    staleTime: Infinity,
    refetchInterval,
  });
}
