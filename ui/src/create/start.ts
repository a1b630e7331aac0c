/** From a sentence to a film in the making: a project with one scene a paragraph. */
import { t } from "@lingui/core/macro";
import { api, body } from "../api/client";
import type { Change } from "./changes";
import { checkLengths, sendChanges } from "./save";
import { EMPTY_BODY, spokenSeconds } from "./script";

const TITLE_CHARS = 60;

/** Texts to begin with, in the language of the page: a voice that speaks it reads them. */
export const samples = () =>
  [
    t`Welcome to the team. Here is what your first *week* looks like.`,
    t`Good morning. The tide comes in twice a day, and the moon is why.`,
    t`Our new release is out. It is faster, smaller and easier to set up.`,
  ] as const;

/** The first words of a script, without marks, cut at a word. */
export function titleOf(script: string): string {
  const plain = script
    .replace(/\[[^\]\n]*\]|\*/g, " ")
    .replace(/\s+/g, " ")
    .trim();
  const first = /^.*?[.!?…](?=\s|$)/.exec(plain)?.[0].replace(/[.…]$/, "") ?? plain;
  if (first.length <= TITLE_CHARS) return first || t`Untitled`;
  return `${first.slice(0, TITLE_CHARS).replace(/\s+\S*$/, "")}…`;
}

export const paragraphsOf = (text: string) =>
  text
    .split(/\n\s*\n/)
    .map((one) => one.trim())
    .filter(Boolean);

/** Of its video, about. */
export const secondsOfText = (text: string) => paragraphsOf(text).reduce((sum, one) => sum + spokenSeconds(one), 0);

export async function createProject(text: string, persona: string, title = titleOf(text)): Promise<string> {
  const paragraphs = paragraphsOf(text);
  const changes = (paragraphs.length ? paragraphs : [""]).map(
    (script) => ({ op: "add_scene", scene: { ...EMPTY_BODY, script } }) satisfies Change,
  );
  // Before there is a project: one without its scenes would be left.
  checkLengths(changes);
  const project = await body(
    api.POST("/api/projects", { body: { title, persona, seed: 1, subtitle: "", description: "" } as never }),
  );
  await sendChanges(project.id, project.revision, changes);
  return project.id;
}

export async function beginFilm(projectId: string): Promise<string> {
  const render = await body(
    api.POST("/api/renders", { body: { project: projectId, persona: "nova", priority: 0, preview: false } }),
  );
  return render.id;
}
