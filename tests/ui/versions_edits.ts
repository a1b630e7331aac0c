/** Random versions of a project and what came of them: every difference is told, and none that is not there.
 * Prints what went wrong, as JSON. */
import { addScene, changeScene, changeScript, type Doc, moveScene, newKey, removeScene } from "../../ui/src/create/document";
import { isSame } from "../../ui/src/create/script";
import { compareDocs, compareWords, type Piece } from "../../ui/src/create/versions";

const [rounds, seed] = process.argv.slice(2).map(Number) as [number, number];
let state = seed;
const random = (below: number) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
};
const WORDS = ["tide", "Tide.", "moon", "[pause 1s]", "*high*", "water", "–", "noon"];
const text = (length: number) => Array.from({ length }, () => WORDS[random(WORDS.length)]).join(" ");
const joined = (pieces: readonly Piece[], without: Piece["kind"]) =>
  pieces.flatMap(({ kind, text }) => (kind === without ? [] : text.split(" "))).join(" ");
const wrong: string[] = [];
const kinds: Record<string, number> = {};

for (let round = 0; round < rounds; round++) {
  const [before, after] = [text(random(9)), text(random(9))];
  const pieces = compareWords(before, after);
  if (joined(pieces, "new") !== before || joined(pieces, "gone") !== after) wrong.push(`${before} | ${after}`);

  let doc: Doc = {
    title: "T", persona: "nova", brand: null, music: null, canvas: { width: 2, height: 2, fps: 10 },
    output: {} as Doc["output"], scenes: [],
  };
  for (let at = 0; at < 4; at++) doc = addScene(doc, doc.scenes.at(-1)?.key ?? null, newKey(), text(4));
  let now = doc;
  for (let edits = random(4); edits > 0; edits--) {
    const key = now.scenes[random(now.scenes.length)]?.key ?? "";
    const edit = random(5);
    if (edit === 0) now = addScene(now, key, newKey(), text(2));
    else if (edit === 1) now = removeScene(now, key);
    else if (edit === 2) now = moveScene(now, key, random(2) ? 1 : -1);
    else if (edit === 3) now = changeScript(now, key, text(4));
    else now = changeScene(now, key, { mood: (["sad", "warm", null] as const)[random(3)] });
  }
  const { scenes } = compareDocs(doc, now);
  const old = new Map(doc.scenes.map((scene) => [scene.key, scene]));
  for (const one of scenes) {
    kinds[one.kind] = (kinds[one.kind] ?? 0) + 1;
    const [was, is] = [old.get(one.key), now.scenes.find((scene) => scene.key === one.key)];
    const kind = !was ? "added" : !is ? "removed" : isSame(was.body, is.body) && !one.moved ? "same" : "changed";
    if (one.kind !== kind) wrong.push(`${one.kind} for ${kind}: ${JSON.stringify([was, is])}`);
    if (one.kind === "changed" && !one.moved && one.pieces.length + one.fields.length === 0) wrong.push("nothing told");
  }
  const order = (all: Doc["scenes"], other: Doc["scenes"]) =>
    all.filter(({ key }) => other.some((one) => one.key === key)).map(({ key }) => key).join();
  if (scenes.some((one) => one.moved) !== (order(doc.scenes, now.scenes) !== order(now.scenes, doc.scenes)))
    wrong.push("moved scenes");
  if (scenes.length !== new Set([...doc.scenes, ...now.scenes].map(({ key }) => key)).size) wrong.push("scenes left out");
}
console.log(JSON.stringify({ wrong, kinds }));
