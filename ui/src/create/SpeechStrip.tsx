/** The words of a scene in time, over the loudness of the voice, with what is on screen below them. */
import { t } from "@lingui/core/macro";
import { useRef, useState } from "react";
import type { SceneSpeech } from "../api/client";
import { useFrames } from "../kit/useFrames";
import { type Anchor, spanOf } from "./anchors";
import type { SceneDoc } from "./document";
import { layerName } from "./OnScreen";
import type { Speech } from "./useSpeech";

/** At least; a short scene fills the width. */
const PIXELS_PER_MS = 0.17;
const HEIGHT = 34;

interface Props {
  speech: Speech;
  sheet: SceneSpeech;
  scene: SceneDoc;
  number: number;
  onWord: (word: number) => void;
}

export function SpeechStrip({ speech, sheet, scene, number, onWord }: Props) {
  const strip = useRef<HTMLDivElement>(null);
  const head = useRef<HTMLSpanElement>(null);
  const { position } = speech;
  /** Of all words one is reached by Tab, the others from it by the arrow keys. */
  const [current, setCurrent] = useState(0);
  const isPlaying = speech.phase === "playing";
  useFrames(() => {
    const [at, box, line] = [position(), strip.current, head.current];
    if (at === null || !box || !line) return;
    const x = (at / sheet.duration_ms) * box.scrollWidth;
    line.style.transform = `translateX(${x}px)`;
    if (x < box.scrollLeft || x > box.scrollLeft + 0.8 * box.clientWidth) box.scrollLeft = x - 0.2 * box.clientWidth;
  }, isPlaying);
  const spokenWords = sheet.words.map((word) => word.text);
  const timeOf = (anchor: Anchor | null | undefined, otherwise: number) => {
    if (!anchor) return otherwise;
    if (anchor.at === "time") return anchor.ms;
    const span = spanOf(anchor, spokenWords);
    if (!span) return null;
    const ms = anchor.edge === "end" ? sheet.words[span[1]]?.end_ms : sheet.words[span[0]]?.start_ms;
    return (ms ?? 0) + (anchor.offset_ms ?? 0);
  };
  const layers = scene.body.overlays.flatMap((overlay, at) => {
    // One whose last word is gone stays to the end of the scene.
    const [start, end] = [timeOf(overlay.start, 0), timeOf(overlay.end, sheet.duration_ms) ?? sheet.duration_ms];
    return start === null || end <= start ? [] : [{ name: layerName(overlay, at), at, start, end }];
  });
  const percent = (ms: number) => `${(100 * ms) / sheet.duration_ms}%`;
  const span = (start: number, end: number) => ({ left: percent(start), width: percent(end - start) });
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a long strip is scrolled by the keyboard
    <section className="strip" ref={strip} tabIndex={0} aria-label={t`Words of scene ${number} in time`}>
      <div
        className="strip-inner"
        style={{ minWidth: `${sheet.duration_ms * PIXELS_PER_MS}px`, minHeight: `${3.7 + 1.15 * layers.length}rem` }}
      >
        <svg viewBox={`0 0 ${sheet.level.length} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
          <path d={outline(sheet)} />
        </svg>
        {sheet.words.map((word, at) => (
          <button
            key={at}
            type="button"
            className="strip-word"
            style={span(word.start_ms, word.end_ms)}
            title={t`Listen from here`}
            tabIndex={at === current ? 0 : -1}
            onFocus={() => setCurrent(at)}
            onKeyDown={(event) => {
              const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
              if (!step) return;
              event.preventDefault();
              strip.current?.querySelectorAll<HTMLElement>(".strip-word")[at + step]?.focus();
            }}
            onClick={() => onWord(at)}
          >
            {word.text}
          </button>
        ))}
        {layers.map(({ name, at, start, end }, row) => (
          <span key={at} className="strip-layer" style={{ ...span(start, end), top: `${row * 1.15 + 3.7}rem` }}>
            {name}
          </span>
        ))}
        <span ref={head} className="playhead" hidden={!isPlaying} />
      </div>
    </section>
  );
}

/** The loudness as a shape around the middle line. */
function outline({ level }: SceneSpeech): string {
  const middle = HEIGHT / 2;
  const side = (sign: number) =>
    level.map((one, at) => `${at + 0.5} ${(middle + sign * Math.max(0.5, one * (middle - 2))).toFixed(1)}`);
  return level.length > 0 ? `M${[...side(-1), ...side(1).reverse()].join("L")}Z` : "";
}
