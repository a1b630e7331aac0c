/** The selected scene as its film will show it, at the word where the caret is; until that is drawn, its layout. */
import { t } from "@lingui/core/macro";
import { useEffect, useRef, useState } from "react";
import { ErrorNotice } from "../kit/kit";
import { waitsWords } from "../videos/words";
import { type Overlay, placeOf } from "./anchors";
import { type Box, formatOf, isShownAt } from "./boxes";
import { CanvasLayers } from "./CanvasLayers";
import type { Doc, SceneDoc } from "./document";
import { overlayEdits } from "./OnScreen";
import { presenterFrames } from "./SpeakerPlaces";
import { spokenWords, wordAt } from "./script";
import type { Editor } from "./useEditor";
import { faceUrl, usePersonas } from "./usePersonas";
import { useScenePreview } from "./useScenePreview";
import "./canvas.css";

const PAUSE_MS = 200;

interface Props {
  projectId: string;
  doc: Doc;
  scene: SceneDoc;
  number: number;
  editor: Editor;
  selected: number | null;
  mayPreview: boolean;
  /** Its preview is still drawn, and the caret followed. */
  hidden: boolean;
  onSelect: (at: number | null) => void;
}

export function ScenePicture({ projectId, doc, scene, number, editor, selected, mayPreview, hidden, onSelect }: Props) {
  const { data } = usePersonas();
  const entry = data?.find((one) => one.id === (scene.body.persona ?? doc.persona));
  const words = spokenWords(scene.body.script);
  const caret = Math.max(0, Math.min(useCaretWord(scene), words.length - 1));
  const word = wordOfPicture(scene.body.overlays[selected ?? -1], words, caret);
  const isReady = !hidden && editor.saveState === "saved" && words.length > 0;
  const { scenes: _, ...look } = doc;
  const path = `/api/projects/${projectId}/scenes/${scene.key}/still?word=${word}`;
  // The version makes a changed scene another address; the server knows the scene by its id.
  const version = digest(JSON.stringify([look, scene.body]));
  const drawn = useDrawn(isReady ? `${path}&v=${version}` : null, scene.key, words[word] ?? "");
  const shown = words.length > 0 ? drawn : null;
  const layout = faceUrl(entry, 640);
  const spoken = shown?.word ?? "";
  const src = shown?.url ?? layout;
  const format = formatOf(doc.canvas);
  const preview = useScenePreview(projectId, scene.key, version, editor);
  const film = selected === null && !hidden ? preview.src : null;
  const share = Math.round(100 * preview.share);
  const { replace, remove } = overlayEdits(editor, scene);
  const presenters = presenterFrames(scene, editor, data);
  return (
    <figure className="card layout" hidden={hidden}>
      <div className={`canvas f${format.replace(":", "-")}`}>
        {src && !film && <img src={src} alt={t`Scene ${number}: ${entry?.persona?.name ?? ""}`} draggable={false} />}
        {film ? (
          // biome-ignore lint/a11y/useMediaCaption: the words stand beside it
          <video src={film} controls autoPlay playsInline aria-label={t`Preview of scene ${number}`} />
        ) : (
          <CanvasLayers
            overlays={scene.body.overlays}
            presenters={presenters.map(({ title, box }) => ({ name: title, box }))}
            words={words}
            word={word}
            format={format}
            selected={selected}
            onSelect={onSelect}
            onChange={(at, changed, group) => {
              const presenter = presenters[at - scene.body.overlays.length];
              if (!presenter) return replace(t`Place on the picture`, at, changed, group);
              if ("box" in changed && changed.box)
                presenter.setLayout(t`Place on the picture`, { ...presenter.layout, box: changed.box as Box }, group);
            }}
            onRemove={(at) => {
              onSelect(null);
              remove(at);
            }}
          />
        )}
      </div>
      {preview.isBeingMade && <progress max={1} value={preview.share} aria-label={t`Progress of the preview`} />}
      {preview.error ? <ErrorNotice error={preview.error} /> : null}
      <figcaption className="row apart quiet">
        <span>
          {preview.isBeingMade
            ? (preview.waits && waitsWords(preview.waits)) || t`The preview is drawn: ${share} %`
            : film
              ? t`Scene ${number}, small and quickly drawn`
              : shown
                ? t`Scene ${number} at “${spoken}”`
                : t`Layout of scene ${number}; the video has the drawn picture.`}
        </span>
        {mayPreview && !film && (
          <button type="button" disabled={preview.isBeingMade || words.length === 0} onClick={preview.begin}>
            {`▶ ${t`Preview`}`}
          </button>
        )}
        {film && <button type="button" onClick={preview.close}>{t`Back to the picture`}</button>}
      </figcaption>
    </figure>
  );
}

/** That of the caret, or, while an overlay is edited that is not there then, the one that it comes with. */
function wordOfPicture(overlay: Overlay | undefined, words: readonly string[], caret: number): number {
  if (!overlay || isShownAt(overlay, words, caret) || overlay.start?.at !== "word") return caret;
  return Math.max(0, placeOf(overlay.start, words));
}

/** Place of the spoken word at the caret of a scene's script; 0 until the caret was there. */
function useCaretWord({ key, body }: SceneDoc): number {
  const [caret, setCaret] = useState(0);
  useEffect(() => {
    setCaret(0);
    const moved = () => {
      const field = document.activeElement;
      if (field instanceof HTMLTextAreaElement && field.id === `script-${key}`) setCaret(field.selectionStart);
    };
    document.addEventListener("selectionchange", moved);
    return () => document.removeEventListener("selectionchange", moved);
  }, [key]);
  return wordAt(body.script, caret);
}

interface Drawn {
  scene: string;
  url: string;
  word: string;
}

/** The newest picture of a scene that has come; one is fetched at a time, and the one asked for last. */
function useDrawn(url: string | null, scene: string, word: string): Drawn | null {
  const [drawn, setDrawn] = useState<Drawn | null>(null);
  const latest = useRef<Drawn | null>(null);
  const isFetching = useRef(false);
  latest.current = url === null ? null : { url, scene, word };
  useEffect(() => {
    const fetchNext = () => {
      const next = latest.current;
      if (!next || isFetching.current) return;
      isFetching.current = true;
      const image = new Image();
      image.onload = image.onerror = (event) => {
        isFetching.current = false;
        if (typeof event !== "string" && event.type === "load") setDrawn(next);
        if (latest.current?.url !== next.url) fetchNext();
      };
      image.src = next.url;
    };
    const timer = setTimeout(fetchNext, url ? PAUSE_MS : 0);
    return () => clearTimeout(timer);
  }, [url]);
  return drawn?.scene === scene ? drawn : null;
}

/** FNV-1a of a text, as hexadecimal digits. */
function digest(text: string): string {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return (hash >>> 0).toString(16);
}
