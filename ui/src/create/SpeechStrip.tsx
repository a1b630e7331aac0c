/** The words of a scene in time, over the loudness of the voice, with what is on screen below them. */
import { t } from "@lingui/core/macro";
import { useEffect, useRef } from "react";
import type { SceneSpeech } from "../api/client";
import { type Anchor, placeOf } from "./anchors";
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
  const isPlaying = speech.phase === "playing";
  useEffect(() => {
    if (!isPlaying) return;
    let frame = 0;
    const draw = () => {
      const [at, box, line] = [position(), strip.current, head.current];
      if (at !== null && box && line) {
        const x = (at / sheet.duration_ms) * box.scrollWidth;
        line.style.transform = `translateX(${x}px)`;
        if (x < box.scrollLeft || x > box.scrollLeft + 0.8 * box.clientWidth) box.scrollLeft = x - 0.2 * box.clientWidth;
      }
      frame = requestAnimationFrame(draw);
    };
    draw();
    return () => cancelAnimationFrame(frame);
  }, [isPlaying, position, sheet]);
  const spokenWords = sheet.words.map((word) => word.text);
  const timeOf = (anchor: Anchor | null | undefined, otherwise: number) => {
    if (!anchor) return otherwise;
    if (anchor.at === "time") return anchor.ms;
    const word = sheet.words[placeOf(anchor, spokenWords)];
    return word ? (anchor.edge === "end" ? word.end_ms : word.start_ms) + (anchor.offset_ms ?? 0) : null;
  };
  const layers = scene.body.overlays.flatMap((overlay, at) => {
    const [start, end] = [timeOf(overlay.start, 0), timeOf(overlay.end, sheet.duration_ms)];
    return start === null || end === null || end <= start ? [] : [{ name: layerName(overlay, at), at, start, end }];
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
