/** Keeps overlays on their words while a script changes. Words are compared as the renderer does (avatar/compose/anchors.py). */
import type { SceneBody } from "./document";
import { spokenWords, wordKey } from "./script";

export type Overlay = SceneBody["overlays"][number];
export type Anchor = NonNullable<Overlay["start"]>;
export type WordAnchor = Extract<Anchor, { at: "word" }>;

const keysOf = (words: readonly string[]) => words.map(wordKey).filter(Boolean);

const placesOf = (phrase: readonly string[], keys: readonly string[]) =>
  keys.map((_, at) => at).filter((at) => phrase.length > 0 && phrase.every((word, offset) => keys[at + offset] === word));

/** Index of an anchor's first word among the words of its script; -1 where that word is not said so often. */
export function placeOf(anchor: WordAnchor, words: readonly string[]): number {
  return placesOf(keysOf(anchor.word.split(/\s+/)), words.map(wordKey))[anchor.occurrence - 1] ?? -1;
}

/** Index of the first and the last word of an anchor; null where they are not said so often. */
export function spanOf(anchor: WordAnchor, words: readonly string[]): [first: number, last: number] | null {
  const first = placeOf(anchor, words);
  return first < 0 ? null : [first, first + keysOf(anchor.word.split(/\s+/)).length - 1];
}

/** An anchor on `length` words from the one with this index. */
export function anchorAt(words: readonly string[], place: number, length = 1, like?: WordAnchor): WordAnchor {
  const named = words.slice(place, place + length);
  const before = placesOf(keysOf(named), words.map(wordKey)).filter((at) => at <= place).length;
  const word = named.join(" ").replace(/^[^\p{L}\p{N}\p{S}]+|[^\p{L}\p{N}\p{M}\p{S}]+$/gu, "");
  return { at: "word", edge: like?.edge ?? "start", offset_ms: like?.offset_ms ?? 0, word, occurrence: before };
}

/** Index in `after` of each word of `before`; null for one that is gone. Words typed over keep their places. */
export function followedPlaces(before: readonly string[], after: readonly string[]): (number | null)[] {
  const [was, is] = [before.map(wordKey), after.map(wordKey)];
  let head = 0;
  while (head < was.length && head < is.length && was[head] === is[head]) head++;
  let tail = 0;
  while (tail < was.length - head && tail < is.length - head && was[was.length - 1 - tail] === is[is.length - 1 - tail]) tail++;
  const [gone, came] = [was.length - head - tail, is.length - head - tail];
  const middle = gone === came ? null : common(was.slice(head, head + gone), is.slice(head, head + came));
  return was.map((_, at) => {
    if (at < head) return at;
    if (at >= was.length - tail) return at + is.length - was.length;
    if (!middle) return at;
    const found = middle[at - head];
    return found === undefined || found === null ? null : head + found;
  });
}

const MAX_CELLS = 1_000_000;

/** The longest common subsequence, as places in `other`. */
function common(one: readonly string[], other: readonly string[]): (number | null)[] {
  if (one.length * other.length > MAX_CELLS) return one.map(() => null);
  const width = other.length + 1;
  const length = new Uint32Array((one.length + 1) * width);
  const at = (row: number, column: number) => length[row * width + column] ?? 0;
  for (let row = one.length - 1; row >= 0; row--)
    for (let column = other.length - 1; column >= 0; column--)
      length[row * width + column] =
        one[row] === other[column] ? at(row + 1, column + 1) + 1 : Math.max(at(row + 1, column), at(row, column + 1));
  const places: (number | null)[] = one.map(() => null);
  for (let row = 0, column = 0; row < one.length && column < other.length; )
    if (one[row] === other[column]) places[row++] = column++;
    else if (at(row + 1, column) >= at(row, column + 1)) row++;
    else column++;
  return places;
}

/** The anchor where its words have gone. One whose word is gone waits for it behind the last that is said, so that it
 * is on no other of the same name. */
function follow(anchor: Anchor, before: readonly string[], after: readonly string[], places: readonly (number | null)[]): Anchor {
  if (anchor.at !== "word") return anchor;
  const place = placeOf(anchor, before);
  if (place < 0) return anchor;
  const length = keysOf(anchor.word.split(/\s+/)).length;
  const first = places[place] ?? null;
  const stays = first !== null && Array.from({ length }, (_, at) => places[place + at]).every((one, at) => one === first + at);
  if (stays) {
    const moved = anchorAt(after, first, length, anchor);
    const same = keysOf(moved.word.split(" ")).join(" ") === keysOf(anchor.word.split(/\s+/)).join(" ");
    return same ? { ...anchor, occurrence: moved.occurrence } : moved;
  }
  return { ...anchor, occurrence: placesOf(keysOf(anchor.word.split(/\s+/)), after.map(wordKey)).length + 1 };
}

/** What hangs on words in a scene whose script has become another; asked for at each key, so nothing is compared for nothing. */
export function followWords(body: SceneBody, after: string): Places & Pick<SceneBody, "overlays"> {
  const { overlays, layout, speakers } = body;
  if (overlays.length === 0 && !hasMoves(body)) return { overlays, layout, speakers };
  const [was, is] = [spokenWords(body.script), spokenWords(after)];
  const places = followedPlaces(was, is);
  return {
    ...changeMoves(body, (moves) => moveMoves(moves, was, is, places)),
    overlays: moveOverlays(overlays, was, is, places),
  };
}

export function moveOverlays(
  overlays: readonly Overlay[],
  before: readonly string[],
  after: readonly string[],
  places: readonly (number | null)[],
): Overlay[] {
  return overlays.map((one) => ({
    ...one,
    start: follow(one.start, before, after, places),
    ...(one.end && { end: follow(one.end, before, after, places) }),
    ...(one.kind === "list" && {
      // A line whose word is gone comes between its neighbours.
      items: one.items.map((item) => {
        const at = item.at && follow(item.at, before, after, places);
        return at?.at === "word" && placeOf(at, after) < 0 ? { ...item, at: null } : { ...item, ...(at && { at }) };
      }),
    }),
  }));
}

type Layout = NonNullable<SceneBody["layout"]>;
export type Move = Layout["moves"][number];
type Places = Pick<SceneBody, "layout" | "speakers">;

/** The places of all speakers of a scene with other moves. */
export function changeMoves({ layout, speakers }: Places, change: (moves: Move[]) => Move[]): Places {
  const changed = <Place extends Layout | null | undefined>(place: Place): Place =>
    place?.moves.length ? { ...place, moves: change(place.moves) } : place;
  return { layout: changed(layout), speakers: speakers.map((one) => ({ ...one, layout: changed(one.layout) })) };
}

const hasMoves = ({ layout, speakers }: Places) =>
  [layout, ...speakers.map((one) => one.layout)].some((one) => (one?.moves.length ?? 0) > 0);

const moveMoves = (
  moves: Move[],
  before: readonly string[],
  after: readonly string[],
  places: readonly (number | null)[],
): Move[] => moves.map((one) => ({ ...one, at: follow(one.at, before, after, places) }));

/** Places in both parts of a scene that is split: a move goes with its word. */
export function splitMoves(body: SceneBody, first: string, second: string): [Places, Places] {
  const [all, head, rest] = [spokenWords(body.script), spokenWords(first), spokenWords(second)];
  const goes = ({ at }: Move) => at.at === "word" && placeOf(at, all) >= head.length;
  const stays = all.map((_, at) => (at < head.length ? at : null));
  const moved = all.map((_, at) => (at < head.length ? null : at - head.length));
  return [
    changeMoves(body, (moves) =>
      moveMoves(
        moves.filter((one) => !goes(one)),
        all,
        head,
        stays,
      ),
    ),
    changeMoves(body, (moves) => moveMoves(moves.filter(goes), all, rest, moved)),
  ];
}

/** Those of a scene that is split before the word `place`: an overlay goes with the word it begins on. */
export function splitOverlays(
  overlays: readonly Overlay[],
  script: string,
  first: string,
  second: string,
): [Overlay[], Overlay[]] {
  const [all, head, rest] = [spokenWords(script), spokenWords(first), spokenWords(second)];
  const goes = (one: Overlay) => one.start.at === "word" && placeOf(one.start, all) >= head.length;
  const cut = (one: Overlay) => ends(one, all) !== null && (ends(one, all) ?? 0) >= head.length;
  const stay = overlays.filter((one) => !goes(one)).map((one) => (cut(one) ? { ...one, end: null } : one));
  const places = all.map((_, at) => (at < head.length ? at : null));
  const moved = all.map((_, at) => (at < head.length ? null : at - head.length));
  return [moveOverlays(stay, all, head, places), moveOverlays(overlays.filter(goes), all, rest, moved)];
}

const ends = (one: Overlay, words: readonly string[]) => (one.end?.at === "word" ? placeOf(one.end, words) : null);

/** Those of a scene that goes behind another one, on its words there. */
export function appendOverlays(overlays: readonly Overlay[], script: string, joined: string): Overlay[] {
  return moveOverlays(overlays, ...appended(script, joined));
}

/** Places of a scene that goes behind another one: moves are on its words there. */
export function appendMoves(body: SceneBody, joined: string): Places {
  return changeMoves(body, (moves) => moveMoves(moves, ...appended(body.script, joined)));
}

/** The words of a script, those of the one that it ends, and where each stands there. */
function appended(script: string, joined: string): [own: string[], all: string[], places: number[]] {
  const [own, all] = [spokenWords(script), spokenWords(joined)];
  return [own, all, own.map((_, at) => at + all.length - own.length)];
}
