/** Reads a project with its scenes, and sends changes of both. */
import { t } from "@lingui/core/macro";
import { api, body, type ProjectState } from "../api/client";
import { Problem } from "../api/problem";
import { number } from "../videos/words";
import type { Change } from "./changes";

const MAX_CHANGES_PER_REQUEST = 500;
const MAX_SCRIPT_CHARS = 200_000;
const FIRST_CHARS = 40;

/** Raises `page.scene_too_long`: the server would refuse it among all that is sent with it. */
export function checkLengths(changes: readonly Change[]): void {
  for (const change of changes) {
    const script = "scene" in change ? (change.scene?.script ?? "") : "";
    // The server counts an emoji as one.
    const chars = script.length > MAX_SCRIPT_CHARS ? [...script].length : 0;
    if (chars <= MAX_SCRIPT_CHARS) continue;
    const first = `${script.slice(0, FIRST_CHARS).trim()}…`;
    throw new Problem(
      t`The scene “${first}” has ${number(chars)} characters; ${number(MAX_SCRIPT_CHARS)} are the most.`,
      "page.scene_too_long",
      t`Make several scenes of it: an empty line begins one in a pasted text, and Split here does in the editor.`,
    );
  }
}

/**
 * Returns the new revision. Raises `project.changed` with the `current` state where another has changed it since; that
 * holds what was sent of many changes before.
 */
export async function sendChanges(ref: string, revision: number, changes: readonly Change[]): Promise<number> {
  checkLengths(changes);
  let now = revision;
  for (let from = 0; from < changes.length; from += MAX_CHANGES_PER_REQUEST) {
    const batch = { base_revision: now, changes: changes.slice(from, from + MAX_CHANGES_PER_REQUEST) };
    const answer = api.POST("/api/projects/{ref}/changes", { params: { path: { ref } }, body: batch });
    now = (await body(answer)).project.revision;
  }
  return now;
}

/** Returns project and scenes. Of changes in between the scenes are the newer: the revision may only be too old. */
export async function fetchState(ref: string): Promise<ProjectState> {
  const params = { path: { ref } };
  const project = await body(api.GET("/api/projects/{ref}", { params }));
  return { project, scenes: await body(api.GET("/api/projects/{ref}/scenes", { params })) };
}
