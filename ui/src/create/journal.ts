/** What is not saved yet, in the browser: it is there again when the page is opened anew. Each open editor writes one of
 * its own, because two tabs would overwrite each other's; one that its tab has left is taken over by the next editor. */
import { randomHex } from "../kit/randomHex";
import type { Doc, SceneDoc } from "./document";
import { EMPTY_BODY } from "./script";

interface Journal {
  /** What the server had when `doc` was made from it. */
  base: Doc;
  doc: Doc;
}

/** A document as it is stored: of a scene that is the same in both the key alone. */
type StoredDoc = Omit<Doc, "scenes"> & { scenes: readonly (SceneDoc | string)[] };

const PREFIX = "soundstage.project.";

/** The place of a journal; held until `release`, so that no other tab takes what it holds. */
interface JournalPlace {
  key: string;
  release: () => void;
}

export function openJournal(ref: string): JournalPlace {
  const key = `${PREFIX}${ref}.${randomHex(8)}`;
  let release: () => void = () => undefined;
  const left = new Promise<void>((done) => {
    release = done;
  });
  void locks()?.request(key, () => left);
  return { key, release };
}

/** Not in a page over plain HTTP: there two tabs may both have the same words, and who saves last is asked. */
const locks = () => navigator.locks as LockManager | undefined;

/** Moves one journal that no open editor holds to `own` and calls `take` at once, unless `isIdle` has ended meanwhile. */
export async function claimJournal(ref: string, own: string, isIdle: () => boolean, take: () => void): Promise<void> {
  let isTaken = false;
  const move = (key: string) => {
    const stored = localStorage.getItem(key);
    if (stored === null || !isIdle()) return;
    // Removed first: there may be no room for two.
    localStorage.removeItem(key);
    localStorage.setItem(own, stored);
    isTaken = true;
    take();
  };
  for (const key of Object.keys(localStorage)) {
    if (isTaken || key === own || !key.startsWith(PREFIX + ref)) continue;
    const held = locks();
    if (held) await held.request(key, { ifAvailable: true }, (lock) => lock && move(key));
    else move(key);
  }
}

/** Called with each key that is typed: it writes what differs, however long the project is. */
export function writeJournal(key: string, { base, doc }: Journal): void {
  const bodies = new Map(base.scenes.map(({ key, body }) => [key, body]));
  const same = new Set(doc.scenes.filter(({ key, body }) => bodies.get(key) === body).map(({ key }) => key));
  const stored = (one: Doc): StoredDoc => ({
    ...one,
    scenes: one.scenes.map((scene) => (same.has(scene.key) ? scene.key : scene)),
  });
  try {
    localStorage.setItem(key, JSON.stringify({ base: stored(base), doc: stored(doc) }));
  } catch {
    // Full, or forbidden by the browser: then it is in this page alone.
  }
}

export const clearJournal = (key: string) => localStorage.removeItem(key);

/** With the scenes that were the same in both as `current` has them: whoever changed them meanwhile is right. */
export function readJournal(key: string, current: Doc): Journal | undefined {
  const stored = localStorage.getItem(key);
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
    clearJournal(key);
    return undefined;
  }
}
