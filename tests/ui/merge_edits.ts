/** Two windows change one project at random and save by batches. Prints what went wrong, as JSON. */
import { type Change, changesOf, merge, shareScenes } from "../../ui/src/create/changes";
import {
  addScene, changeScene, changeScript, type Doc, mergeWithPrevious, moveScene, newKey, removeScene, splitScene,
} from "../../ui/src/create/document";
import { EMPTY_BODY, isSame } from "../../ui/src/create/script";

const [rounds, seed] = process.argv.slice(2).map(Number) as [number, number];
let state = seed;
const random = (below: number) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
};
const wrong: string[] = [];
let words = 0;
/** Words that somebody has taken away knowingly: with a scene, or as the losing side of a conflict. */
const removedWords = new Set<string>();
const addedWords = new Set<string>();
const wordsIn = (doc: Doc) => new Set(doc.scenes.flatMap(({ body }) => body.script.split(" ")));

/** What the server makes of changes. */
function carryOut(doc: Doc, changes: readonly Change[]): Doc {
  const scenes = [...doc.scenes];
  let { scenes: _, ...look } = doc;
  const put = (id: string, position: number | null | undefined, scene: Doc["scenes"][number]) => {
    const place = scenes.findIndex((one) => one.key === id);
    if (place >= 0) scenes.splice(place, 1);
    scenes.splice(position ?? (place >= 0 ? place : scenes.length), 0, scene);
  };
  for (const change of changes) {
    if (change.op === "change_project") look = { ...look, ...(change.project as Partial<typeof look>) };
    else if (change.op === "delete_scene")
      scenes.splice(
        scenes.findIndex((one) => one.key === change.id),
        1,
      );
    else {
      const old = scenes.find((one) => one.key === change.id);
      const { position, ...body } = change.op === "move_scene" ? { position: change.position } : change.scene;
      put(change.id ?? "", position, { key: change.id ?? "", body: { ...old?.body, ...body } as typeof EMPTY_BODY });
    }
  }
  return { ...look, scenes };
}

const scene = (script: string) => ({ key: newKey(), body: { ...EMPTY_BODY, script } });
const first: Doc = {
  title: "T", persona: "nova", brand: null, music: null, canvas: { width: 2, height: 2, fps: 10 }, output: {} as Doc["output"],
  scenes: [scene("one"), scene("two"), scene("three")],
};
const server = { doc: first, revision: 1 };
const windows = [0, 1].map(() => ({ base: server.doc, revision: 1, doc: server.doc }));
type Window = (typeof windows)[number];

function edit(window: Window): void {
  const { doc } = window;
  const at = doc.scenes[random(doc.scenes.length)];
  if (!at) {
    window.doc = addScene(doc, null, newKey(), "again");
    return;
  }
  const word = `word${++words}`;
  const act = random(10);
  if (act < 4) {
    window.doc = changeScript(doc, at.key, `${at.body.script} ${word}`);
    addedWords.add(word);
  } else if (act === 4) window.doc = changeScene(doc, at.key, { mood: ["warm", "sad", null][random(3)] as never });
  else if (act === 5) {
    window.doc = addScene(doc, at.key, newKey(), word);
    addedWords.add(word);
  } else if (act === 6) window.doc = moveScene(doc, at.key, random(2) ? 1 : -1);
  else if (act === 7) {
    for (const one of at.body.script.split(" ")) removedWords.add(one);
    window.doc = removeScene(doc, at.key);
  } else if (act === 8) window.doc = random(2) ? mergeWithPrevious(doc, at.key) : splitScene(doc, at.key, at.body.script.indexOf(" ") + 1, newKey());
  else window.doc = { ...doc, title: word };
}

function save(window: Window): void {
  if (window.revision !== server.revision) {
    const current = shareScenes(structuredClone(server.doc), window.base);
    const { conflicts } = merge(window.base, window.doc, current);
    for (const { key, theirs } of conflicts) {
      const mine = window.doc.scenes.find((one) => one.key === key)?.body.script ?? "";
      const [lost, stays] = random(2) ? [mine, theirs.script] : [theirs.script, mine];
      for (const one of lost.split(" ")) if (!stays.split(" ").includes(one)) removedWords.add(one);
      if (stays === theirs.script) window.doc = changeScene(window.doc, key, { script: theirs.script, overlays: theirs.overlays });
    }
    window.doc = merge(window.base, window.doc, current).doc;
    window.base = current;
    window.revision = server.revision;
  }
  const changes = changesOf(window.base, window.doc);
  if (changes.length > 0) {
    server.doc = carryOut(server.doc, changes);
    server.revision += 1;
  }
  if (!isSame(server.doc, window.doc)) wrong.push(`round ${server.revision}: the server has something else than who saved`);
  window.base = window.doc;
  window.revision = server.revision;
}

for (let round = 0; round < rounds && wrong.length < 5; round++) {
  const window = windows[random(2)] as Window;
  for (let edits = random(4); edits >= 0; edits--) edit(window);
  if (random(3)) save(window);
  if (new Set(server.doc.scenes.map((one) => one.key)).size !== server.doc.scenes.length) wrong.push("a scene is there twice");
}
for (const window of [...windows, ...windows]) save(window);
const there = wordsIn(server.doc);
for (const word of addedWords) if (!there.has(word) && !removedWords.has(word)) wrong.push(`${word} is lost`);
if (!isSame(windows[0]?.doc, windows[1]?.doc)) wrong.push("the windows show different projects");
console.log(JSON.stringify({ revisions: server.revision, addedWords: addedWords.size, wrong }));
