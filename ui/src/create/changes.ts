/** What leads from one state of a project to another as changes for the server, and how two states that were made from
 * one are merged. */

import type { components } from "../api/schema";
import type { Doc, SceneBody, SceneDoc } from "./document";
import { isSame } from "./script";

export type Change = components["schemas"]["ChangeBatch"]["changes"][number];

/** Both have changed the words of a scene, differently. */
export interface WordsConflict {
  key: string;
  theirs: SceneBody;
}

/** The fields of `to` that differ; null where `to` has none. */
export function changedFields<T extends object>(from: T, to: T): Partial<T> {
  const names = new Set([...Object.keys(from), ...Object.keys(to)]) as Set<keyof T>;
  return Object.fromEntries(
    [...names].filter((name) => !isSame(from[name], to[name])).map((name) => [name, to[name] ?? null]),
  ) as Partial<T>;
}

const lookOf = ({ scenes: _, ...look }: Doc) => look;
const byKey = (scenes: readonly SceneDoc[]) => new Map(scenes.map((scene) => [scene.key, scene]));

/** Changes that lead from one to the other, in their order. */
export function changesOf(from: Doc, to: Doc): Change[] {
  const changes: Change[] = [];
  const project = changedFields(lookOf(from), lookOf(to));
  if (Object.keys(project).length > 0) changes.push({ op: "change_project", project } as Change);
  const target = byKey(to.scenes);
  const before = byKey(from.scenes);
  for (const { key } of from.scenes) if (!target.has(key)) changes.push({ op: "delete_scene", id: key });
  const order = from.scenes.map((scene) => scene.key).filter((key) => target.has(key));
  for (const [position, { key, body }] of to.scenes.entries()) {
    const old = before.get(key);
    if (!old) {
      changes.push({ op: "add_scene", id: key, scene: { ...body, position } } as Change);
      order.splice(position, 0, key);
      continue;
    }
    if (order[position] !== key) {
      changes.push({ op: "move_scene", id: key, position });
      order.splice(order.indexOf(key), 1);
      order.splice(position, 0, key);
    }
    const scene = old.body === body ? {} : changedFields(old.body, body);
    if (Object.keys(scene).length > 0) changes.push({ op: "change_scene", id: key, scene } as Change);
  }
  return changes;
}

/** The overlays hang on words of the script. */
const wordsOf = ({ script, overlays }: SceneBody) => ({ script, overlays });

function mergeFields<T extends object>(base: T, mine: T, theirs: T): T {
  const changed = changedFields(base, mine);
  return Object.keys(changed).length > 0 ? { ...theirs, ...changed } : theirs;
}

function mergeBodies(base: SceneBody, mine: SceneBody, theirs: SceneBody): { body: SceneBody; clash: boolean } {
  // Most scenes are the same object on two sides, and then nothing is compared.
  if (base === mine) return { body: theirs, clash: false };
  if (base === theirs) return { body: mine, clash: false };
  const merged = mergeFields(base, mine, theirs);
  const [before, here, there] = [wordsOf(base), wordsOf(mine), wordsOf(theirs)];
  if (isSame(before, here)) return { body: merged, clash: false };
  return { body: { ...merged, ...here }, clash: !isSame(before, there) && !isSame(here, there) };
}

/** The document with the very scenes of another one where they hold the same. */
export function shareScenes(doc: Doc, other: Doc): Doc {
  const known = byKey(other.scenes);
  const shared = doc.scenes.map((scene) => {
    const same = known.get(scene.key);
    return same && isSame(same.body, scene.body) ? same : scene;
  });
  return { ...doc, scenes: shared };
}

/**
 * What two states that were made from `base` are together. A scene that one has deleted and the other has changed
 * stays. Where both have changed the same, mine holds; of words it is told besides.
 */
export function merge(base: Doc, mine: Doc, theirs: Doc): { doc: Doc; conflicts: WordsConflict[] } {
  const [before, here, there] = [byKey(base.scenes), byKey(mine.scenes), byKey(theirs.scenes)];
  const conflicts: WordsConflict[] = [];
  const scenes = new Map<string, SceneDoc>();
  for (const key of new Set([...here.keys(), ...there.keys()])) {
    const [old, own, other] = [before.get(key)?.body, here.get(key), there.get(key)];
    const only = own && other ? undefined : (own ?? other);
    if (only) {
      if (!old || !isSame(old, only.body)) scenes.set(key, only);
    } else if (own && other) {
      const { body, clash } = mergeBodies(old ?? other.body, own.body, other.body);
      scenes.set(key, isSame(body, own.body) ? own : { key, body });
      if (clash) conflicts.push({ key, theirs: other.body });
    }
  }
  const orders = [base, mine, theirs].map((doc) => doc.scenes.map((scene) => scene.key)) as [string[], string[], string[]];
  const order = mergeOrders(...orders).filter((key) => scenes.has(key));
  const merged = {
    ...mergeFields(lookOf(base), lookOf(mine), lookOf(theirs)),
    scenes: order.map((key) => scenes.get(key) as SceneDoc),
  };
  // Where nothing is new to one of both, it is that very document.
  return { doc: [mine, theirs].find((one) => changesOf(one, merged).length === 0) ?? merged, conflicts };
}

/** The order of the one that has moved something, mine first; what only the other has comes behind its neighbour. */
function mergeOrders(base: string[], mine: string[], theirs: string[]): string[] {
  const common = (order: string[], other: string[]) => {
    const there = new Set(other);
    return order.filter((key) => there.has(key)).join();
  };
  const hasMoved = common(mine, base) !== common(base, mine);
  const [first, second] = hasMoved ? [mine, theirs] : [theirs, mine];
  const order = [...first];
  const placed = new Set(first);
  for (const [place, key] of second.entries()) {
    if (placed.has(key)) continue;
    // Everything before it is placed already.
    order.splice(place === 0 ? 0 : order.indexOf(second[place - 1] as string) + 1, 0, key);
    placed.add(key);
  }
  return order;
}
