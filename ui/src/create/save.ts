/** Reads a project with its scenes, and sends changes of both. */
import { api, body, type ProjectState } from "../api/client";
import type { Change } from "./changes";

const MAX_CHANGES_PER_REQUEST = 500;

/**
 * Returns the new revision. Raises `project.changed` with the `current` state where another has changed it since; that
 * holds what was sent of many changes before.
 */
export async function sendChanges(ref: string, revision: number, changes: readonly Change[]): Promise<number> {
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
