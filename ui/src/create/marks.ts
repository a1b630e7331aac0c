/** Several speakers of a scene: the marks in its script that say whose words follow (avatar/spec/acting.py). */
import type { SceneBody } from "./document";

export type SceneSpeaker = SceneBody["speakers"][number];

/** The scene's own presenter, in a mark. */
export const HOST = "host";
export const MAX_SPEAKERS = 3;
const MARK = /\[speaker[\s:=]+([a-z0-9][a-z0-9-]*)\s*\]/gi;

export const speakerMark = (name: string) => `[speaker ${name}]`;

/** All speakers of a scene with their names in marks, its presenter first; `persona` is that of the project. */
export const castOf = (body: SceneBody, persona: string) => [
  { name: HOST, persona: body.persona ?? persona, layout: body.layout ?? null },
  ...body.speakers.map((one) => ({ name: one.persona, persona: one.persona, layout: one.layout ?? null })),
];

/** Who speaks at a place of the script. */
export function speakerAt(script: string, caret: number): string {
  const marks = [...script.slice(0, caret).matchAll(MARK)];
  return marks.at(-1)?.[1]?.toLowerCase() ?? HOST;
}

/** The script with the words of `from` given to `to`, without marks that change nothing. */
export function renameSpeaker(script: string, from: string, to: string): string {
  let current = HOST;
  return script
    .replace(MARK, (mark, name: string) => {
      const next = name.toLowerCase() === from ? to : name.toLowerCase();
      if (next === current) return "";
      current = next;
      return next === name ? mark : speakerMark(next);
    })
    .replace(/ {2,}/g, " ")
    .trimStart();
}

/** The scene with one more speaker, who says nothing yet. */
export const addSpeaker = (body: SceneBody, persona: string): Partial<SceneBody> => ({
  speakers: [...body.speakers, { persona }],
});

/** The scene without that speaker; what they said is the host's. */
export const removeSpeaker = (body: SceneBody, persona: string): Partial<SceneBody> => ({
  script: renameSpeaker(body.script, persona, HOST),
  speakers: body.speakers.filter((one) => one.persona !== persona),
});

/** The scene with another presenter in place of that speaker. */
export const replaceSpeaker = (body: SceneBody, from: string, to: string): Partial<SceneBody> => ({
  script: renameSpeaker(body.script, from, to),
  speakers: body.speakers.map((one) => (one.persona === from ? { ...one, persona: to } : one)),
});

/** A script that begins where another one is cut: with the mark of who speaks there. */
export function withSpeakerOf(script: string, caret: number, rest: string): string {
  const speaker = speakerAt(script, caret);
  return speaker === HOST || rest.toLowerCase().startsWith("[speaker") || !rest ? rest : `${speakerMark(speaker)} ${rest}`;
}

/** Two scripts as one: the second begins with its own host. */
export function joinScripts(first: string, second: string): string {
  const isHost = speakerAt(first, first.length) === HOST || !second || second.toLowerCase().startsWith("[speaker");
  const joined = [first, isHost ? second : `${speakerMark(HOST)} ${second}`].filter(Boolean).join(" ");
  return joined.match(MARK) ? renameSpeaker(joined, "", HOST) : joined;
}

/** The speakers of two scenes that become one. */
export function joinSpeakers(first: readonly SceneSpeaker[], second: readonly SceneSpeaker[]): SceneSpeaker[] {
  const known = first.map((one) => one.persona);
  return [...first, ...second.filter((one) => !known.includes(one.persona))];
}
