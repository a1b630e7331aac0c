/** What every view needs of a script: its spoken words, its length, an empty scene; and whether two values hold the same. */
import type { SceneBody } from "./document";

export const EMPTY_BODY: SceneBody = {
  script: "",
  title: "",
  overlays: [],
  speakers: [],
  lead_in_ms: 300,
  tail_ms: 500,
  pronunciation: {},
};

/** Marks such as `[pause 500ms]` and `*` are not spoken. */
export const spokenWords = (script: string): string[] =>
  (script.replace(/\[[^\]\n]*\]|\*/g, " ").match(/\S+/g) ?? []).filter(isSpoken);

// The key of a word costs a hundred times as much, and few words have to be asked for it.
const isSpoken = (word: string) => /[\p{L}\p{N}]/u.test(word) || wordKey(word) !== "";

/** Index of the spoken word at a caret; one inside a word belongs to that word, one behind a mark to the next word. */
export function wordAt(script: string, caret: number): number {
  const before = script.slice(0, caret);
  const isBehindMark = before.endsWith("]") || (before.endsWith("*") && before.split("*").length % 2 === 0);
  return spokenWords(before).length - (/\S$/.test(before) && !isBehindMark ? 1 : 0);
}

/** Place in the script of the spoken word with this index. */
export function caretOf(script: string, word: number): number {
  let spoken = -1;
  for (const { 0: found, index } of script.matchAll(/\[[^\]\n]*\]|\S+?(?=\[|\s|$)/g))
    if (!found.startsWith("[") && wordKey(found.replaceAll("*", "")) !== "" && ++spoken === word) return index;
  return script.length;
}

export const wordKey = (word: string) =>
  word
    .normalize("NFKC")
    .toLowerCase()
    .replaceAll("ß", "ss")
    .replace(/[^\p{L}\p{N}\p{M}\p{S}]/gu, "");

/** As `studio/scenes/speaking_time.py` estimates it. */
const WORDS_PER_SECOND = 160 / 60;
const SENTENCE_PAUSE_S = 0.35;
/** Before and after what is said in a scene: `lead_in_ms` and `tail_ms` of a RenderSpec. */
const SCENE_EDGES_S = 0.8;

/** Of one scene, as long as its video; 0 where nothing is said. */
export function spokenSeconds(script: string): number {
  const words = spokenWords(script).length;
  if (words === 0) return 0;
  const pauses = [...script.matchAll(/\[pause\s+(\d+(?:\.\d+)?)\s*(ms|s)\]/gi)].map(
    ([, length, unit]) => Number(length) / (unit?.toLowerCase() === "ms" ? 1000 : 1),
  );
  const ends = script.match(/[.!?…](?=[\s*]|$)|[。！？]/g)?.length ?? 0;
  return words / WORDS_PER_SECOND + ends * SENTENCE_PAUSE_S + pauses.reduce((sum, one) => sum + one, 0) + SCENE_EDGES_S;
}

const lengths = new WeakMap<SceneBody, number>();

/** Spoken seconds of a scene; its body is never changed, only replaced. */
export function secondsOf(body: SceneBody): number {
  const known = lengths.get(body);
  if (known !== undefined) return known;
  const seconds = spokenSeconds(body.script);
  lengths.set(body, seconds);
  return seconds;
}

/** One text for all values that hold the same; null and what is left out are one. */
export const canonical = (value: unknown) => JSON.stringify(sorted(value ?? null));

export const isSame = (one: unknown, other: unknown) => one === other || canonical(one) === canonical(other);

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value && typeof value === "object")
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, inner]) => inner != null)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, inner]) => [name, sorted(inner)]),
    );
  return value;
}
