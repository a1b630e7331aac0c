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

const WORDS_PER_SECOND = 2.5;
export const spokenSeconds = (script: string) => spokenWords(script).length / WORDS_PER_SECOND;

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
