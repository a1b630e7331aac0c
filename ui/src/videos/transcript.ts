/** What is said in a film, line by line, each with its time: from the words of its scenes, or from its captions. */
import type { TranscriptScene } from "../api/client";

export interface Word {
  text: string;
  /** Seconds from the start of the film. */
  start: number;
}

export interface Line {
  start: number;
  /** Set on the first line of a scene, counted from 1, where a film has several. */
  scene: number | null;
  /** One alone where only lines have times. */
  words: Word[];
}

const SENTENCE_END = /[.!?…。！？]["'”’»)\]]*$/;
const LONGEST_LINE = 40;

export function linesOfWords(scenes: readonly TranscriptScene[]): Line[] {
  return scenes.flatMap(({ words }, index) => {
    const lines: Line[] = [];
    for (const { text, start_ms } of words) {
      const word = { text, start: start_ms / 1000 };
      const last = lines.at(-1);
      const before = last?.words.at(-1);
      if (last && before && !SENTENCE_END.test(before.text) && last.words.length < LONGEST_LINE) last.words.push(word);
      else lines.push({ start: word.start, scene: null, words: [word] });
    }
    const first = lines[0];
    if (first && scenes.length > 1) first.scene = index + 1;
    return lines;
  });
}

const CUE = /^(?:(\d+):)?(\d{2}):(\d{2})\.(\d{3}) -->/;
const ENTITIES: Record<string, string> = { "&amp;": "&", "&lt;": "<", "&gt;": ">" };

/** Of a WebVTT file as our captions are: without tags, settings or notes. */
export function linesOfCaptions(vtt: string): Line[] {
  return vtt
    .split(/\r?\n\r?\n/)
    .map((block) => block.trim().split(/\r?\n/))
    .flatMap((block) => {
      const found = CUE.exec(block[0] ?? "");
      if (!found) return [];
      const [hours, minutes, seconds, milliseconds] = found.slice(1).map((one) => Number(one ?? 0)) as [
        number,
        number,
        number,
        number,
      ];
      const start = 3600 * hours + 60 * minutes + seconds + milliseconds / 1000;
      const text = block
        .slice(1)
        .join(" ")
        .replace(/&(amp|lt|gt);/g, (entity) => ENTITIES[entity] ?? entity);
      return text ? [{ start, scene: null, words: [{ text, start }] }] : [];
    });
}

export const textOf = (line: Line) => line.words.map((word) => word.text).join(" ");

/** The last of rising times that is not after `at`; -1 before the first. */
export function lastBefore(times: readonly number[], at: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The pieces of a text: those at odd places are the words looked for, whatever their case. */
export function foundPieces(text: string, search: string): string[] {
  if (search === "") return [text];
  return text.split(new RegExp(`(${search.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")})`, "iu"));
}
