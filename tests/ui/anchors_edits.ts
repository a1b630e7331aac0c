/** Random edits of scripts whose overlays must stay on their words. Prints what went wrong, as JSON. */
import { type Overlay, anchorAt, placeOf } from "../../ui/src/create/anchors";
import { changeScript, type Doc, mergeWithPrevious, splitScene } from "../../ui/src/create/document";
import { EMPTY_BODY, spokenWords } from "../../ui/src/create/script";

const [edits, seed] = process.argv.slice(2).map(Number) as [number, number];
let state = seed;
const random = (below: number) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
};
const wrong: string[] = [];
let fresh = 0;
const MARKS = ["[pause]", "[wave]"];
const unique = () => `word${++fresh}`;
const some = () => ["tide", "moon", "Tide,", "sea", "“moon”"][random(5)] as string;

function start(word: () => string): Doc {
  const scenes = [0, 1].map((at) => {
    const script = Array.from({ length: 12 }, word).join(" ");
    const words = spokenWords(script);
    const overlays = [1, 5, 9].map((place) => ({
      kind: "text", text: `${at} ${place}`, box: { x: 0, y: 0, width: 1, height: 1 }, start: anchorAt(words, place), end: null,
    }));
    // Moves begin where the overlays do: they stand on the same words ever after.
    const moves = overlays.map(({ start }, number) => ({ at: start, box: { x: 0, y: 0, width: 1, height: 1 }, ms: 10 * at + number }));
    const layout = { box: { x: 0, y: 0, width: 1, height: 1 }, shape: "rectangle", fit: "cover", visible: true, moves };
    const body = { ...EMPTY_BODY, script, overlays, layout, speakers: [{ persona: ["mei", "milo"][at], layout }] };
    return { key: `s${at}`, body: body as unknown as Doc["scenes"][number]["body"] };
  });
  return { title: "", persona: "nova", canvas: { width: 2, height: 2, fps: 10 }, output: {} as Doc["output"], scenes };
}

/** The word that each overlay stands on, by its text; empty where it stands on none. */
function standing(doc: Doc): Map<string, string> {
  const found = new Map<string, string>();
  for (const { body } of doc.scenes) {
    const words = spokenWords(body.script);
    for (const one of body.overlays)
      found.set("text" in one ? one.text : "", one.start.at === "word" ? (words[placeOf(one.start, words)] ?? "") : "");
  }
  return found;
}

/** Moves that stand elsewhere than the overlay that began with them. */
function strayed(doc: Doc): string[] {
  const overlays = new Map(doc.scenes.flatMap(({ body }) => body.overlays.map((one) => ["text" in one ? one.text : "", one.start])));
  return doc.scenes.flatMap(({ body }) =>
    [body.layout, ...body.speakers.map((one) => one.layout)].flatMap((layout) =>
      (layout?.moves ?? []).flatMap(({ at, ms }) => {
        const like = overlays.get(`${Math.floor(ms / 10)} ${[1, 5, 9][ms % 10]}`);
        return JSON.stringify(like) === JSON.stringify(at) ? [] : [`${ms}: ${JSON.stringify(at)} and ${JSON.stringify(like)}`];
      }),
    ),
  );
}

const orderIn = (doc: Doc) =>
  doc.scenes.flatMap(({ body }, scene) => {
    const words = spokenWords(body.script);
    return body.overlays.map((one) => ({
      text: "text" in one ? one.text : "", place: one.start.at === "word" ? placeOf(one.start, words) : -1, scene,
    }));
  });

function edited(doc: Doc, word: () => string): { doc: Doc; what: string; gone: string[]; renamed: Map<string, string> } {
  const scene = doc.scenes[random(doc.scenes.length)]!;
  const parts = scene.body.script.split(" ").filter(Boolean);
  const at = random(parts.length + 1);
  const renamed = new Map<string, string>();
  const write = (next: string[]) => changeScript(doc, scene.key, next.join(" "));
  const kind = random(10);
  if (kind < 4) return { doc: write(parts.toSpliced(at, 0, ...Array.from({ length: 1 + random(3) }, word))), what: "insert", gone: [], renamed };
  if (kind < 6 && parts.length > 8) {
    const count = 1 + random(2);
    return { doc: write(parts.toSpliced(at, count)), what: "delete", gone: parts.slice(at, at + count), renamed };
  }
  if (kind < 7 && at < parts.length && !MARKS.includes(parts[at]!)) {
    const next = word();
    renamed.set(parts[at]!, next);
    return { doc: write(parts.with(at, next)), what: "type over", gone: [], renamed };
  }
  if (kind < 8) return { doc: write(parts.toSpliced(at, 0, MARKS[random(2)]!)), what: "mark", gone: [], renamed };
  if (kind < 9 && doc.scenes.length < 4 && parts.length > 4) {
    const caret = parts.slice(0, at).join(" ").length;
    return { doc: splitScene(doc, scene.key, caret, `n${++fresh}`), what: "split", gone: [], renamed };
  }
  return { doc: mergeWithPrevious(doc, scene.key), what: "join", gone: [], renamed };
}

for (const [name, word] of [["unique", unique], ["repeated", some]] as const) {
  let doc = start(word);
  for (let count = 0; count < edits; count++) {
    if (count % 50 === 0) doc = start(word);
    const before = standing(doc);
    const places = orderIn(doc);
    const { doc: next, what, gone, renamed } = edited(doc, word);
    const after = standing(next);
    wrong.push(...strayed(next).map((one) => `${what}: ${one}`));
    if (after.size !== before.size) wrong.push(`${name} ${what}: ${before.size} overlays became ${after.size}`);
    if (name === "unique")
      for (const [text, stood] of before) {
        const expected = gone.includes(stood) ? "" : (renamed.get(stood) ?? stood);

        if (after.get(text) !== expected) wrong.push(`${what}: ${text} stood on ${stood}, now on ${after.get(text)}`);
      }
    else if (what !== "join" && what !== "split") {
      const now = new Map(orderIn(next).map((one) => [one.text, one]));
      const found = places.filter((one) => one.place >= 0 && (now.get(one.text)?.place ?? -1) >= 0);
      for (const one of found)
        for (const other of found)
          if (one.scene === other.scene && one.place < other.place && now.get(one.text)!.place >= now.get(other.text)!.place)
            wrong.push(`${what}: ${one.text} and ${other.text} changed places`);
    }
    doc = next;
  }
}
console.log(JSON.stringify({ edits: edits * 2, wrong: wrong.slice(0, 20), count: wrong.length }));
