/** Reads a project with its scenes, and sends changes of both. */
import { api, body, type ProjectState } from "../api/client";
import type { Change } from "./changes";

/** Of one request. */
export const MAX_CHANGES = 500;

/** Returns the new revision. Raises `project.changed` with the `current` state where another has changed it since. */
export async function sendChanges(ref: string, revision: number, changes: Change[]): Promise<number> {
  const batch = { base_revision: revision, changes };
  const answer = api.POST("/api/projects/{ref}/changes", { params: { path: { ref } }, body: batch });
  return (await body(answer)).project.revision;
}

/** Returns project and scenes. Of changes in between the scenes are the newer: the revision may only be too old. */
export async function fetchState(ref: string): Promise<ProjectState> {
  const params = { path: { ref } };
  const project = await body(api.GET("/api/projects/{ref}", { params }));
  return { project, scenes: await body(api.GET("/api/projects/{ref}/scenes", { params })) };
}
