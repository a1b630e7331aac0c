/** The newest film of a project, and which of its scenes have changed since. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { api, body, type RenderDetail, type RenderPlan } from "../api/client";
import { useLive } from "../live/Live";
import type { Doc, SceneBody } from "./document";
import { canonical, isSame } from "./script";

/** Undefined while it is not known, null when there is none. Live events keep it fresh. */
export function useLatestFilm(projectId: string): RenderDetail | null | undefined {
  const queries = useQueryClient();
  const { log } = useLive();
  const newest = useQuery({
    queryKey: ["film-of", projectId],
    queryFn: async () => {
      const query = { project: projectId, kind: ["video" as const], limit: 1 };
      return (await body(api.GET("/api/renders", { params: { query } })))[0]?.id ?? null;
    },
    staleTime: Infinity,
  });
  // A film that another tab or the conversation has begun.
  const begun = log.findLast((event) => event.kind === "render.created" || event.kind === "render.queued")?.id;
  useEffect(() => {
    if (begun) void queries.invalidateQueries({ queryKey: ["film-of", projectId] });
  }, [queries, projectId, begun]);
  const id = newest.data;
  const film = useQuery({
    queryKey: ["render", id ?? ""],
    queryFn: () => body(api.GET("/api/renders/{render_id}", { params: { path: { render_id: id ?? "" } } })),
    enabled: Boolean(id),
  });
  return id === null ? null : film.data;
}

const revisions = new WeakMap<Doc, number>();
let revision = 0;
/** A document never changes, a change makes another one. */
function revisionOf(doc: Doc): number {
  const known = revisions.get(doc) ?? ++revision;
  revisions.set(doc, known);
  return known;
}

/** What the next film would make anew and how long that takes, as saved; undefined until it is known. */
export function useRenderPlan(projectId: string, doc: Doc, film: string, saved: boolean): RenderPlan | undefined {
  const plan = useQuery({
    queryKey: ["render-plan", projectId, film, revisionOf(doc)],
    queryFn: () =>
      body(api.POST("/api/renders/plan", { body: { project: projectId, persona: "nova", priority: 0, preview: false } })),
    enabled: saved && doc.scenes.length > 0,
    staleTime: 30_000,
    gcTime: 60_000,
  });
  return saved ? plan.data : undefined;
}

/** What people had edited, as a version keeps it. */
export interface Content {
  title: string;
  look: Pick<Doc, "persona" | "canvas" | "output"> & Partial<Doc>;
  scenes: { id: string; title: string; body: SceneBody }[];
}

/** A version never changes. */
export const versionContent = (projectId: string, number: number) => ({
  queryKey: ["version", projectId, number],
  queryFn: async () => {
    const path = { ref: projectId, number };
    return (await body(api.GET("/api/projects/{ref}/versions/{number}", { params: { path } }))).content as unknown as Content;
  },
  staleTime: Infinity,
});

/** The project as it was when its newest film was begun. */
export function useFilmed(projectId: string, version: number | null | undefined) {
  return useQuery({ ...versionContent(projectId, version ?? 0), enabled: version != null }).data;
}

/** Keys of the scenes that the next film draws anew, by what they say and how they look; null where nothing was filmed yet. */
export function changedScenes(doc: Doc, filmed: Content | undefined): Set<string> | null {
  if (!filmed) return null;
  const all = (scenes: Doc["scenes"]) => new Set(scenes.map((scene) => scene.key));
  if (!isSame(doc.canvas, { ...doc.canvas, ...filmed.look.canvas })) return all(doc.scenes);
  const drawn = new Set(filmed.scenes.map(({ body }) => drawnFrom(body, filmed.look.persona)));
  return all(doc.scenes.filter(({ body }) => !drawn.has(drawnFrom(body, doc.persona))));
}

const drawnTexts = new WeakMap<SceneBody, { speaker: string; text: string }>();

/** What the picture of a scene is made from, as a text: all but its title. A body is never changed, only replaced. */
function drawnFrom(body: SceneBody, persona: string): string {
  const speaker = body.persona ?? persona;
  const known = drawnTexts.get(body);
  if (known?.speaker === speaker) return known.text;
  const text = canonical({ ...body, title: "", persona: speaker });
  drawnTexts.set(body, { speaker, text });
  return text;
}

/** Films begun on this page, also by the start of the project. */
export const begun = new Set<string>();
export const filmBegun = (id: string) => begun.add(id);
