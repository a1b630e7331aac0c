/** The presenter who answers: drawn in a canvas, or a still picture of who is not drawn. */
import { t } from "@lingui/core/macro";
import { useEffect, useRef, useState } from "react";
import type { PersonaEntry } from "../api/client";
import { Face } from "../create/PresenterPicker";
import { type Character, loadCharacter } from "../face/description";
import { type MovingFace, openFace } from "../face/face";
import { faceSourceOf } from "../sound/state";
import { call } from "./call";

let shownFace: MovingFace | null = null;
let shownFilm: HTMLVideoElement | null = null;

interface Props {
  entry: PersonaEntry | undefined;
  video: MediaStream | null;
}

export function Presenter({ entry, video }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const avatar = avatarUrl(entry);
  const found = useCharacter(entry);
  // Who was drawn before is still there for a moment, and a canvas is drawn on in one way only.
  const character = avatar ? null : found;
  /** The avatar that can be seen: before it is there, and where it cannot be drawn, the still picture is. */
  const [drawn, setDrawn] = useState("");
  useEffect(() => {
    if (!canvas.current || !(character || avatar)) return;
    let isCurrent = true;
    openFace(canvas.current, character, avatar, faceSourceOf(call)).then(
      (face) => {
        if (!isCurrent) return face.close();
        shownFace = face;
        setDrawn(avatar);
      },
      // The still picture below stays to be seen.
      () => undefined,
    );
    return () => {
      isCurrent = false;
      shownFace?.close();
      shownFace = null;
    };
  }, [character, avatar]);
  return (
    <>
      <Face entry={entry} width={320} />
      {(character || avatar) && <canvas key={avatar} ref={canvas} hidden={avatar !== "" && drawn !== avatar} />}
      {video && <Film key={entry?.id} stream={video} name={entry?.persona?.name} />}
    </>
  );
}

/** The presenter as a video, over the still picture as soon as there is something to see. */
function Film({ stream, name }: { stream: MediaStream; name: string | undefined }) {
  const film = useRef<HTMLVideoElement>(null);
  const [isSeen, setSeen] = useState(false);
  useEffect(() => {
    shownFilm = film.current;
    if (shownFilm) shownFilm.srcObject = stream;
    return () => {
      shownFilm = null;
    };
  }, [stream]);
  // The sound comes by itself.
  return <video ref={film} aria-label={name} muted autoPlay playsInline data-seen={isSeen} onPlaying={() => setSeen(true)} />;
}

/** The name of the file from which the page draws a presenter; undefined for photos, filmed people and own designs. */
function drawnId(entry: PersonaEntry | undefined): string | undefined {
  const face = faceOf(entry);
  if (face?.kind !== "rig") return undefined;
  return face.design ? (entry?.origin === "shipped" ? entry.id : undefined) : face.character;
}

const faceOf = (entry: PersonaEntry | undefined) =>
  entry?.persona?.face as { kind: string; character?: string; design?: object | null } | undefined;

/** Where the file of a VRM avatar is; empty for others. */
function avatarUrl(entry: PersonaEntry | undefined): string {
  const face = entry?.persona?.face;
  if (face?.kind !== "vrm") return "";
  return `/api/personas/${entry?.id}/model?v=${face.model.sha256?.replace("sha256:", "").slice(0, 12)}`;
}

/** Whether a presenter can answer live, and the page cannot draw them. */
export const needsVideo = (entry: PersonaEntry | undefined): boolean =>
  drawnId(entry) === undefined && ["rig", "photo"].includes(faceOf(entry)?.kind ?? "");

/** Null until it is there, and for photos, filmed people and characters of one's own. */
function useCharacter(entry: PersonaEntry | undefined): Character | null {
  const [character, setCharacter] = useState<Character | null>(null);
  const id = drawnId(entry);
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
    let last = { frames: 0, atS: 0, fps: 0 };
    const filmFps = () => {
      const frames = shownFilm?.getVideoPlaybackQuality().totalVideoFrames ?? 0;
      const atS = performance.now() / 1000;
      if (atS - last.atS >= 1) last = { frames, atS, fps: Math.max(0, Math.round((frames - last.frames) / (atS - last.atS))) };
      return last.fps;
    };
    const read = () =>
      setLines([
        [t`FPS`, String(shownFilm ? filmFps() : (shownFace?.fps ?? 0))],
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
