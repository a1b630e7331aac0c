/** A project as the editor holds it: pure values and pure changes, with undo and redo; nothing here knows the server. */
import type { Project, Scene } from "../api/client";
import { appendMoves, appendOverlays, followWords, splitMoves, splitOverlays } from "./anchors";
import { joinScripts, joinSpeakers, withSpeakerOf } from "./marks";
import { EMPTY_BODY } from "./script";

export type SceneBody = Omit<Scene, "id" | "project_id" | "position" | "created_at" | "updated_at">;

/** `key`: its id on the server, from the beginning. */
export interface SceneDoc {
  key: string;
  body: SceneBody;
}

export interface Doc {
  title: string;
  persona: string;
  brand: string | null;
  music: Project["music"];
  canvas: Project["canvas"];
  output: Project["output"];
  scenes: readonly SceneDoc[];
}

export function docOf(project: Project, scenes: readonly Scene[]): Doc {
  const { title, persona, brand = null, music = null, canvas, output } = project;
  return {
    title,
    persona,
    brand,
    music,
    canvas,
    output,
    scenes: scenes.map((scene) => ({ key: scene.id, body: bodyOf(scene) })),
  };
}

export function bodyOf(scene: Scene): SceneBody {
  const { id: _id, project_id: _project, position: _position, created_at: _created, updated_at: _updated, ...body } = scene;
  return body;
}

const ID_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz";
/** An id as those of the server: ten digits of the time in milliseconds, sixteen by chance. */
export function newKey(): string {
  let time = "";
  for (let rest = Date.now(); time.length < 10; rest = Math.floor(rest / 32)) time = ID_DIGITS[rest % 32] + time;
  const chance = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => ID_DIGITS[byte % 32]);
  return `scn_${time}${chance.join("")}`;
}

const replaceScenes = (doc: Doc, scenes: readonly SceneDoc[]): Doc => ({ ...doc, scenes });

export const changeScene = (doc: Doc, key: string, change: Partial<SceneBody>): Doc =>
  replaceScenes(
    doc,
    doc.scenes.map((scene) => (scene.key === key ? { ...scene, body: { ...scene.body, ...change } } : scene)),
  );

/** Other words in a scene; its overlays stay on theirs. */
export const changeScript = (doc: Doc, key: string, script: string): Doc => {
  const body = doc.scenes.find((scene) => scene.key === key)?.body;
  return body ? changeScene(doc, key, { ...followWords(body, script), script }) : doc;
};

/** A new scene after the one with `key`, or first; it looks like the one before it. */
export function addScene(doc: Doc, after: string | null, key: string, script = ""): Doc {
  const place = doc.scenes.findIndex((scene) => scene.key === after) + 1;
  const before = doc.scenes[place - 1]?.body;
  const { persona, mood, layout, background, language } = before ?? {};
  const body: SceneBody = { ...EMPTY_BODY, script, ...(before && { persona, mood, layout, background, language }) };
  return replaceScenes(doc, [...doc.scenes.slice(0, place), { key, body }, ...doc.scenes.slice(place)]);
}

export const removeScene = (doc: Doc, key: string): Doc =>
  replaceScenes(
    doc,
    doc.scenes.filter((scene) => scene.key !== key),
  );

/** What stands behind the caret becomes the next scene. */
export function splitScene(doc: Doc, key: string, caret: number, newSceneKey: string): Doc {
  const body = doc.scenes.find((scene) => scene.key === key)?.body;
  if (!body) return doc;
  const [script, rest] = [body.script.slice(0, caret).trimEnd(), body.script.slice(caret).trimStart()];
  const [stay, go] = splitOverlays(body.overlays, body.script, script, rest);
  const [here, there] = splitMoves(body, script, rest);
  const first = changeScene(doc, key, { ...here, script, overlays: stay });
  return changeScene(addScene(first, key, newSceneKey, rest), newSceneKey, {
    ...there,
    script: withSpeakerOf(body.script, caret, rest),
    overlays: go,
  });
}

/** Its script and overlays go to the scene before. */
export function mergeWithPrevious(doc: Doc, key: string): Doc {
  const place = doc.scenes.findIndex((scene) => scene.key === key);
  const scene = doc.scenes[place];
  const before = doc.scenes[place - 1];
  if (!scene || !before) return doc;
  const script = joinScripts(before.body.script, scene.body.script);
  // The moves of the scene before stay; those of the other's host began from a place that is left.
  const own = followWords(before.body, script);
  const speakers = joinSpeakers(own.speakers, appendMoves(scene.body, script).speakers);
  const overlays = [...own.overlays, ...appendOverlays(scene.body.overlays, scene.body.script, script)];
  return removeScene(changeScene(doc, before.key, { ...own, speakers, script, overlays }), key);
}

export function moveScene(doc: Doc, key: string, by: number): Doc {
  const from = doc.scenes.findIndex((scene) => scene.key === key);
  const moved = doc.scenes[from];
  const to = from + by;
  if (!moved || to < 0 || to >= doc.scenes.length) return doc;
  const others = doc.scenes.filter((scene) => scene.key !== key);
  return replaceScenes(doc, [...others.slice(0, to), moved, ...others.slice(to)]);
}

/** `name`: what the last change did, for the button; changes of one `group` soon after each other are undone together. */
interface Step {
  doc: Doc;
  name: string;
}

export interface History {
  past: readonly Step[];
  doc: Doc;
  future: readonly Step[];
  group: string;
  at: number;
}

const COALESCE_MS = 1200;
const MAX_STEPS = 300;

export const startHistory = (doc: Doc): History => ({ past: [], doc, future: [], group: "", at: 0 });

export function record(history: History, doc: Doc, name: string, group: string, at: number): History {
  if (doc === history.doc) return history;
  const joins = group !== "" && group === history.group && at - history.at < COALESCE_MS && history.past.length > 0;
  const past = joins ? history.past : [...history.past.slice(1 - MAX_STEPS), { doc: history.doc, name }];
  return { past, doc, future: [], group, at };
}

/** Each state as it is with what others have changed meanwhile, so that undo takes back nothing of theirs. */
export function rebase(history: History, change: (doc: Doc) => Doc): History {
  const steps = (all: readonly Step[]) => all.map((step) => ({ ...step, doc: change(step.doc) }));
  return { ...history, past: steps(history.past), doc: change(history.doc), future: steps(history.future) };
}

export function undo(history: History): History {
  const last = history.past.at(-1);
  if (!last) return history;
  const future = [{ doc: history.doc, name: last.name }, ...history.future];
  return { past: history.past.slice(0, -1), doc: last.doc, future, group: "", at: 0 };
}

export function redo(history: History): History {
  const next = history.future[0];
  if (!next) return history;
  const past = [...history.past, { doc: history.doc, name: next.name }];
  return { past, doc: next.doc, future: history.future.slice(1), group: "", at: 0 };
}
