/** A scene in motion, small, before its video is made: drawn when a person asks, and shown until the scene changes. */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { api, body } from "../api/client";
import { useSingleMutation } from "../kit/useSingleMutation";
import { ENDED } from "../videos/Making";
import { fileUrl } from "../videos/words";
import type { Editor } from "./useEditor";

interface ScenePreview {
  isBeingMade: boolean;
  /** Of its frames, from 0 to 1. */
  share: number;
  /** Why no worker draws it yet. */
  waits: string;
  error: unknown;
  /** Of its file, once it is there. */
  src: string | null;
  begin: () => void;
  close: () => void;
}

/** `version` stands for all that is in its picture. */
export function useScenePreview(project: string, scene: string, version: string, editor: Editor): ScenePreview {
  const [begun, setBegun] = useState<{ version: string; id: string } | null>(null);
  const ended = useRef(new Set<string>());
  const start = useSingleMutation({
    mutationFn: async (version: string) => {
      if (!(await editor.flush())) return null;
      const request = { project, scene, preview: true, persona: "nova", priority: 0 };
      return { version, id: (await body(api.POST("/api/renders", { body: request }))).id };
    },
    onSuccess: setBegun,
  });
  const id = begun?.version === version ? begun.id : null;
  const render = useQuery({
    queryKey: ["render", id ?? ""],
    queryFn: () => body(api.GET("/api/renders/{render_id}", { params: { path: { render_id: id ?? "" } } })),
    enabled: id !== null,
  }).data;
  const hasEnded = render !== undefined && ENDED.includes(render.state);
  if (id && hasEnded) ended.current.add(id);
  useEffect(() => {
    if (!id) return;
    return () => {
      // Nobody waits for the picture of what was.
      if (ended.current.has(id)) return;
      void api.POST("/api/renders/{render_id}/cancel", { params: { path: { render_id: id } } }).catch(() => undefined);
    };
  }, [id]);
  const { frames_done: made = 0, frames_total: total = 0 } = render?.progress ?? {};
  return {
    isBeingMade: start.isPending || (id !== null && !hasEnded),
    share: total ? made / total : 0,
    waits: render?.waits ?? "",
    error: start.error ?? render?.error ?? null,
    src: id && render?.state === "done" ? fileUrl(id, "video") : null,
    begin: () => start.mutate(version),
    close: () => setBegun(null),
  };
}
