/** What is not saved yet, in the browser: it is there again when the page is opened anew. */
import type { Doc, SceneDoc } from "./document";
import { EMPTY_BODY } from "./script";

interface Journal {
  /** What the server had when `doc` was made from it. */
  base: Doc;
  doc: Doc;
}

/** A document as it is stored: of a scene that is the same in both the key alone. */
type StoredDoc = Omit<Doc, "scenes"> & { scenes: readonly (SceneDoc | string)[] };

const place = (ref: string) => `soundstage.project.${ref}`;

/** Called with each key that is typed: it writes what differs, however long the project is. */
export function writeJournal(ref: string, { base, doc }: Journal): void {
  const bodies = new Map(base.scenes.map(({ key, body }) => [key, body]));
  const same = new Set(doc.scenes.filter(({ key, body }) => bodies.get(key) === body).map(({ key }) => key));
  const stored = (one: Doc): StoredDoc => ({
    ...one,
    scenes: one.scenes.map((scene) => (same.has(scene.key) ? scene.key : scene)),
  });
  try {
    localStorage.setItem(place(ref), JSON.stringify({ base: stored(base), doc: stored(doc) }));
  } catch {
    // Full, or forbidden by the browser: then it is in this page alone.
  }
}

export const clearJournal = (ref: string) => localStorage.removeItem(place(ref));

/** With the scenes that were the same in both as `current` has them: whoever changed them meanwhile is right. */
export function readJournal(ref: string, current: Doc): Journal | undefined {
  const stored = localStorage.getItem(place(ref));
  if (stored === null) return undefined;
  try {
    const { base, doc } = JSON.parse(stored) as { base: StoredDoc; doc: StoredDoc };
    const scenes = new Map(current.scenes.map((scene) => [scene.key, scene]));
    const read = (one: StoredDoc): Doc => ({
      ...one,
      scenes: one.scenes.map((scene) => {
        if (typeof scene !== "string") return scene;
        const found = scenes.get(scene) ?? { key: scene, body: EMPTY_BODY };
        scenes.set(scene, found);
        return found;
      }),
    });
    return { base: read(base), doc: read(doc) };
  } catch {
    clearJournal(ref);
    return undefined;
  }
}
