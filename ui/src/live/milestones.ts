/** What is said aloud of a render: each stage and each quarter once, not every frame. */

import { t } from "@lingui/core/macro";
import { stageWords } from "../videos/words";
import type { ServerEvent } from "./serverEvent";

const said = new Map<string, string>();

export function announceProgress(found: ServerEvent): string {
  const id = String(found.data.id ?? "");
  let sentence = "";
  if (found.kind === "render.progress") {
    const { stage, frames_done: done, frames_total: total } = found.data as Record<string, number | string>;
    const quarter = Number(total) ? Math.floor((Number(done) / Number(total)) * 4) * 25 : 0;
    sentence = t`${stageWords(String(stage))}, ${quarter} percent`;
  } else if (found.kind === "render.state" && found.data.kind !== "preview") {
    const title = String(found.data.title);
    const ends: Record<string, string> = {
      done: t`“${title}” is ready.`,
      failed: t`“${title}” has failed.`,
      cancelled: t`“${title}” is cancelled.`,
    };
    sentence = ends[String(found.data.state)] ?? "";
  } else if (found.kind === "approval.requested") sentence = t`A call waits for approval.`;
  if (!sentence || said.get(id) === sentence) return "";
  said.set(id, sentence);
  return sentence;
}
