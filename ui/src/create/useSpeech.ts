/** The sound of a scene before its film: spoken by the server when a person asks, and played from a word on. */
import { useEffect, useRef, useState } from "react";
import { api, body, type SceneSpeech } from "../api/client";
import { problemOf } from "../api/problem";
import { Clip } from "../sound/clip";
import type { Doc, SceneDoc } from "./document";
import type { Editor } from "./useEditor";

/** A word begins a little before its first sound is loud. */
const BEFORE_WORD_MS = 30;
/** No key: the editor was left meanwhile. */
const LEFT = "left";

export interface Speech {
  phase: "idle" | "making" | "playing";
  error: unknown;
  /** Of the words as they are now; null before they were spoken. */
  sheet: SceneSpeech | null;
  play: (word: number) => void;
  stop: () => void;
  /** Milliseconds from the start; null while nothing plays. */
  position: () => number | null;
}

interface SpokenScene {
  key: string;
  sheet: SceneSpeech;
  clip: Clip;
}

/** All that changes how a scene sounds. */
function soundKey(doc: Doc, { key, body }: SceneDoc): string {
  const { overlays: _, background: _b, layout: _l, camera: _c, transition: _t, ...heard } = body;
  return JSON.stringify([key, doc.persona, heard]);
}

export function useSpeech(projectId: string, doc: Doc, scene: SceneDoc | undefined, editor: Editor): Speech {
  const key = scene ? soundKey(doc, scene) : "";
  const [made, setMade] = useState<SpokenScene | null>(null);
  const [phase, setPhase] = useState<Speech["phase"]>("idle");
  const [failed, setFailed] = useState<{ key: string; error: unknown } | null>(null);
  const now = useRef(key);
  now.current = key;
  const current = made?.key === key ? made : null;

  const clip = current?.clip;
  // Other words are not what plays.
  useEffect(() => () => clip?.stop(), [clip]);
  useEffect(
    () => () => {
      now.current = LEFT;
    },
    [],
  );

  const play = async (word: number) => {
    if (!scene || phase === "making") return;
    setFailed(null);
    try {
      let found = current;
      if (!found) {
        setPhase("making");
        if (!(await editor.flush())) return setPhase("idle");
        found = await make(projectId, scene.key, key);
        if (now.current !== key) return setPhase("idle");
        setMade(found);
      }
      const from = word > 0 ? (found.sheet.words[word]?.start_ms ?? 0) - BEFORE_WORD_MS : 0;
      await found.clip.play(Math.max(0, from), () => setPhase("idle"));
      setPhase("playing");
    } catch (failure) {
      setFailed({ key, error: failure });
      setPhase("idle");
    }
  };
  return {
    phase,
    error: failed?.key === key ? failed.error : null,
    sheet: current?.sheet ?? null,
    play: (word) => void play(word),
    stop: () => clip?.stop(),
    position: () => clip?.position ?? null,
  };
}

async function make(ref: string, scene_id: string, key: string): Promise<SpokenScene> {
  const path = { ref, scene_id };
  const sheet = await body(api.GET("/api/projects/{ref}/scenes/{scene_id}/speech", { params: { path } }));
  const answer = await fetch(sheet.sound);
  if (!answer.ok) throw await problemOf(answer);
  return { key, sheet, clip: await Clip.decode(await answer.arrayBuffer()) };
}
