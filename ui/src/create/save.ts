/** Reads a project with its scenes, and sends changes of both. */
import { t } from "@lingui/core/macro";
import { api, body, type ProjectState } from "../api/client";
import {
  ArrowOverlay,
  ChangeBatch,
  ListItem,
  ListOverlay,
  LowerThirdOverlay,
  ProjectChange,
  SceneDraft,
  TextOverlay,
  TitleOverlay,
} from "../api/limits";
import { Problem } from "../api/problem";
import { faultOf, type Limit } from "../kit/rules";
import { number } from "../videos/words";
import type { Overlay } from "./anchors";
import type { Change } from "./changes";

const MAX_CHANGES_PER_REQUEST = ChangeBatch.changes.maxItems;
const FIRST_CHARS = 40;
export const MAX_POINTS = ListOverlay.items.maxItems;
/** The rules of the texts of an overlay, by its kind; in the generated types a title has none. */
const OVERLAY_LIMITS: Partial<Record<Overlay["kind"], Readonly<Record<string, Limit>>>> = {
  lower_third: LowerThirdOverlay,
  list: ListOverlay,
  text: TextOverlay,
  arrow: ArrowOverlay,
};

const beginOf = (text: string) => `${text.slice(0, FIRST_CHARS).trim()}…`;

/** Raises what is too long: the server would refuse it among all that is sent with it. */
export function checkLengths(changes: readonly Change[]): void {
  for (const change of changes) {
    if ("project" in change && change.project) checkText(change.project.title ?? "", ProjectChange.title);
    if (!("scene" in change) || !change.scene) continue;
    checkScript(change.scene.script ?? "");
    for (const overlay of change.scene.overlays ?? []) checkOverlay(overlay as Overlay);
  }
}

function checkScript(script: string): void {
  const fault = faultOf(script, SceneDraft.script);
  if (fault?.rule !== "maxLength") return;
  throw new Problem(
    t`The scene “${beginOf(script)}” has ${number(fault.chars)} characters; ${number(fault.limit)} are the most.`,
    "page.scene_too_long",
    t`Make several scenes of it: an empty line begins one in a pasted text, and Split here does in the editor.`,
  );
}

function checkOverlay(overlay: Overlay): void {
  const limits = "title" in overlay ? TitleOverlay : (OVERLAY_LIMITS[overlay.kind] ?? {});
  for (const [name, limit] of Object.entries(limits)) {
    const text = (overlay as unknown as Record<string, unknown>)[name];
    if (typeof text === "string") checkText(text, limit);
  }
  if (overlay.kind !== "list") return;
  for (const { text } of overlay.items) checkText(text, ListItem.text);
  const points = overlay.items.length;
  if (points <= MAX_POINTS) return;
  throw new Problem(
    t`The list “${beginOf(overlay.heading || (overlay.items[0]?.text ?? ""))}” has ${number(points)} points; ${number(MAX_POINTS)} are the most.`,
    "page.list_too_long",
    t`Make a second list of the rest, which comes when the first goes.`,
  );
}

function checkText(text: string, limit: Limit): void {
  const fault = faultOf(text, limit);
  if (fault?.rule !== "maxLength") return;
  throw new Problem(
    t`The text “${beginOf(text)}” has ${number(fault.chars)} characters; ${number(fault.limit)} are the most.`,
    "page.text_too_long",
    t`Shorten it: nothing is saved until then.`,
  );
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
