/** What has changed in a project since a version of it: scenes that came, went and moved, and their words. */
import { followedPlaces } from "./anchors";
import { changedFields } from "./changes";
import type { Doc, SceneBody, SceneDoc } from "./document";
import type { Content } from "./film";
import { EMPTY_BODY } from "./script";

export interface Piece {
  kind: "same" | "gone" | "new";
  text: string;
}

export interface SceneChange {
  key: string;
  kind: "same" | "added" | "removed" | "changed";
  /** Where it stands now; where it stood, of one that is gone. */
  number: number;
  pieces: readonly Piece[];
  /** Names of changed fields but for the script. */
  fields: readonly string[];
  moved: boolean;
}

/** A version as the editor holds a project. */
export function docOfVersion({ title, look, scenes }: Content, now: Doc): Doc {
  const bodies = scenes.map(({ id, title: name, body }) => ({ key: id, body: { ...EMPTY_BODY, ...body, title: name } }));
  const { persona, brand = null, music = null, canvas, output } = look;
  return { ...now, title, persona, brand, music, canvas, output, scenes: bodies };
}

/** The words of one script and another, in pieces that stayed, went or came. */
export function compareWords(before: string, after: string): Piece[] {
  const [was, is] = [before.match(/\S+/g) ?? [], after.match(/\S+/g) ?? []];
  const places = followedPlaces(was, is);
  const pieces: Piece[] = [];
  const add = (kind: Piece["kind"], text: string) => {
    const last = pieces.at(-1);
    if (last?.kind === kind) last.text += ` ${text}`;
    else pieces.push({ kind, text });
  };
  let next = 0;
  const addNew = (to: number) => {
    for (; next < to; next++) add("new", is[next] ?? "");
  };
  for (const [at, word] of was.entries()) {
    const place = places[at];
    // Typed over: the place is the same, the word is another.
    if (place == null || is[place] !== word) add("gone", word);
    else {
      addNew(place);
      add("same", word);
      next = place + 1;
    }
  }
  addNew(is.length);
  return pieces;
}

const isWritten = ({ pieces }: { pieces: readonly Piece[] }) => pieces.some(({ kind }) => kind !== "same");

/** The fewest scenes that were moved, so that the others stand in their old order. */
function movedKeys(before: readonly SceneDoc[], after: readonly SceneDoc[]): Set<string> {
  const old = new Map(before.map(({ key }, at) => [key, at]));
  const staying = after.flatMap(({ key }) => (old.has(key) ? [{ key, at: old.get(key) ?? 0 }] : []));
  // The longest run of rising places that ends with each one: its length, and the one before it there.
  const runs: { length: number; previous: number }[] = [];
  for (const [place, one] of staying.entries()) {
    let [length, previous] = [1, -1];
    for (let other = 0; other < place; other++)
      if ((staying[other]?.at ?? 0) < one.at && (runs[other]?.length ?? 0) >= length)
        [length, previous] = [(runs[other]?.length ?? 0) + 1, other];
    runs.push({ length, previous });
  }
  const moved = new Set(staying.map(({ key }) => key));
  const longest = Math.max(0, ...runs.map((run) => run.length));
  let place = runs.findIndex((run) => run.length === longest);
  for (; place >= 0; place = runs[place]?.previous ?? -1) moved.delete(staying[place]?.key ?? "");
  return moved;
}

/** The changes from one state to another: names of fields of the whole film, and each scene. */
export function compareDocs(before: Doc, after: Doc): { look: string[]; scenes: SceneChange[] } {
  const [{ scenes: was, ...oldLook }, { scenes: is, ...newLook }] = [before, after];
  const old = new Map(was.map((scene, at) => [scene.key, { ...scene, at }]));
  const moved = movedKeys(was, is);
  const scenes = is.map(({ key, body }, at): SceneChange => {
    const found = old.get(key);
    old.delete(key);
    const common = { key, number: at + 1, moved: moved.has(key) };
    if (!found) return { ...common, kind: "added", pieces: wordsOf("new", body), fields: [] };
    const fields = Object.keys(changedFields(found.body, body)).filter((name) => name !== "script");
    const pieces = compareWords(found.body.script, body.script);
    const written = isWritten({ pieces });
    const kind = written || fields.length > 0 || common.moved ? "changed" : "same";
    return { ...common, kind, pieces: written ? pieces : [], fields };
  });
  const gone = [...old.values()].map(
    ({ key, body, at }): SceneChange => ({
      key,
      kind: "removed",
      number: at + 1,
      pieces: wordsOf("gone", body),
      fields: [],
      moved: false,
    }),
  );
  return { look: Object.keys(changedFields(oldLook, newLook)), scenes: [...scenes, ...gone] };
}

const wordsOf = (kind: Piece["kind"], { script }: SceneBody): Piece[] => (script.trim() ? [{ kind, text: script.trim() }] : []);
