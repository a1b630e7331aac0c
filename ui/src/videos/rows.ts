/** Keeps the lists of videos true by asking for single rows: no list is fetched because something happened. */
import type { InfiniteData, QueryClient } from "@tanstack/react-query";
import { api, body, type Render, type RenderSummary } from "../api/client";
import type { ServerEvent } from "../live/serverEvent";

/** One page of a list; `next` is the cursor of the one after it. */
export interface RenderPage {
  rows: RenderSummary[];
  total: number;
  next: string | undefined;
}

export type RenderPages = InfiniteData<RenderPage, string | undefined>;
/** Events of one thing that come within this time are answered by one question. */
export const GATHER_MS = 400;

/** The row of one video; undefined when there is none. */
export const fetchRow = async (id: string): Promise<RenderSummary | undefined> =>
  (await body(api.GET("/api/renders", { params: { query: { q: id, limit: 1 } } }))).find((one) => one.id === id);

export class RenderRows {
  private waiting = new Map<string, ReturnType<typeof setTimeout>>();
  /** What happened while nobody looked at this tab. */
  private unseen = new Set<string>();

  constructor(private readonly queries: QueryClient) {
    document.addEventListener("visibilitychange", this.look);
  }

  happened(event: ServerEvent): void {
    const id = String(event.data.id ?? "");
    if (!id) return;
    if (event.kind === "render.progress") this.progress(id, event);
    else if (!this.waiting.has(id))
      this.waiting.set(
        id,
        setTimeout(() => void this.refresh(id), GATHER_MS),
      );
  }

  close(): void {
    document.removeEventListener("visibilitychange", this.look);
    for (const timer of this.waiting.values()) clearTimeout(timer);
  }

  private look = () => {
    if (document.hidden) return;
    for (const id of this.unseen) void this.refresh(id);
    this.unseen.clear();
  };

  private progress(id: string, event: ServerEvent): void {
    const { waits, ...progress } = event.data as { waits: string } & Render["progress"];
    const newer = <T extends { progress: object }>(one: T) => ({ ...one, waits, progress: { ...one.progress, ...progress } });
    this.replace(id, newer);
    this.queries.setQueryData<Render>(["render", id], (one) => one && newer(one));
  }

  private async refresh(id: string): Promise<void> {
    this.waiting.delete(id);
    if (document.hidden) {
      this.unseen.add(id);
      return;
    }
    void this.queries.invalidateQueries({ queryKey: ["render", id] });
    const row = await fetchRow(id).catch(() => null);
    // The server is away: when it is back, everything is asked for again.
    if (row === null) return;
    this.replace(id, () => row);
    if (row) this.add(row);
  }

  private replace(id: string, change: (row: RenderSummary) => RenderSummary | undefined): void {
    this.queries.setQueryData<RenderSummary | null>(["render-row", id], (one) => (one ? (change(one) ?? null) : one));
    this.queries.setQueriesData<unknown>({ queryKey: ["renders"] }, (list: unknown) => {
      if (!isPages(list) || !list.pages.some((page) => page.rows.some((one) => one.id === id))) return list;
      const pages = list.pages.map((page) => ({
        ...page,
        rows: page.rows.flatMap((one) => (one.id === id ? (change(one) ?? []) : one)),
      }));
      const gone = count(list.pages) - count(pages);
      return { ...list, pages: pages.map((page) => ({ ...page, total: page.total - gone })) };
    });
  }

  /** A new video stands first; whether it belongs to a search, only the server knows. */
  private add(row: RenderSummary): void {
    if (row.kind === "preview") return;
    this.queries.setQueryData<RenderPages>(["renders", ""], (list) => {
      if (!isPages(list)) return list;
      const first = list.pages[0];
      if (!first || list.pages.some((page) => page.rows.some((one) => one.id === row.id))) return list;
      if (first.rows[0] && first.rows[0].id > row.id) return list;
      const pages = [{ ...first, rows: [row, ...first.rows] }, ...list.pages.slice(1)];
      return { ...list, pages: pages.map((page) => ({ ...page, total: page.total + 1 })) };
    });
  }
}

/** Other lists have the same first part of their key: the trash is one without pages. */
const isPages = (list: unknown): list is RenderPages => Array.isArray((list as RenderPages | undefined)?.pages);

const count = (pages: RenderPage[]) => pages.reduce((sum, page) => sum + page.rows.length, 0);
