/** The presenter who answers: drawn in a canvas, or a still picture of who is not drawn. */
import { t } from "@lingui/core/macro";
import { useEffect, useRef, useState } from "react";
import type { PersonaEntry } from "../api/client";
import { Face } from "../create/PresenterPicker";
import { type Character, loadCharacter } from "../face/description";
import { FaceView } from "../face/face";
import type { FaceState } from "../face/motion";
import { faceStateOf, type Shown } from "../sound/state";
import { call } from "./call";

let shownFace: FaceView | null = null;

export function Presenter({ entry, shownState }: { entry: PersonaEntry | undefined; shownState: Shown }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const state = useRef<FaceState>("idle");
  state.current = faceStateOf(shownState);
  const character = useCharacter(entry);
  useEffect(() => {
    if (!canvas.current || !character) return;
    const source = {
      get state() {
        return state.current;
      },
      get cues() {
        return call.cues;
      },
      get heardAt() {
        return call.heardAt;
      },
    };
    try {
      shownFace = new FaceView(canvas.current, character, source);
    } catch {
      // The still picture below stays to be seen.
      return;
    }
    return () => {
      shownFace?.close();
      shownFace = null;
    };
  }, [character]);
  return (
    <>
      <Face entry={entry} width={320} />
      {character && <canvas ref={canvas} />}
    </>
  );
}

/** Null until it is there, and for photos, filmed people and characters of one's own. */
function useCharacter(entry: PersonaEntry | undefined): Character | null {
  const [character, setCharacter] = useState<Character | null>(null);
  const face = entry?.persona?.face as { kind: string; character?: string; design?: object | null } | undefined;
  const name = face?.design ? (entry?.origin === "shipped" ? entry.id : undefined) : face?.character;
  const id = face?.kind === "rig" ? name : undefined;
  useEffect(() => {
    setCharacter(null);
    let isCurrent = true;
    if (id)
      void loadCharacter(id).then(
        (found) => isCurrent && setCharacter(found),
        () => undefined,
      );
    return () => {
      isCurrent = false;
    };
  }, [id]);
  return character;
}

/** For whoever looks for the reason of a halting face. */
export function Measures() {
  const [lines, setLines] = useState<[string, string][]>([]);
  useEffect(() => {
    const read = () =>
      setLines([
        [t`FPS`, String(shownFace?.fps ?? 0)],
        [t`State`, call.view.state],
        [t`Mood`, shownFace?.mood ?? t`none`],
        [t`Amplitude`, call.outputLevel.toFixed(2)],
        [t`Mouth`, (shownFace?.shown?.jaw ?? 0).toFixed(2)],
        [t`Connection`, call.lineState],
      ]);
    read();
    const timer = setInterval(read, 100);
    return () => clearInterval(timer);
  }, []);
  return (
    <dl className="talk-measures">
      {lines.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
