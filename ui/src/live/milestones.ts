/** What is said aloud of a render: each stage and each quarter once, not every frame. */

import { stageWords } from "../videos/words";
import type { ServerEvent } from "./serverEvent";

const said = new Map<string, string>();

export function announceProgress(found: ServerEvent): string {
  const id = String(found.data.id ?? "");
  let sentence = "";
  if (found.kind === "render.progress") {
    const { stage, frames_done: done, frames_total: total } = found.data as Record<string, number | string>;
    const quarter = Number(total) ? Math.floor((Number(done) / Number(total)) * 4) * 25 : 0;
    sentence = `${stageWords(String(stage))}, ${quarter} percent`;
  } else if (found.kind === "render.state") {
    const words: Record<string, string> = { done: "is ready", failed: "has failed", cancelled: "is cancelled" };
    const end = words[String(found.data.state)];
    sentence = end ? `“${found.data.title}” ${end}.` : "";
  } else if (found.kind === "approval.requested") sentence = "A call waits for approval.";
  if (!sentence || said.get(id) === sentence) return "";
  said.set(id, sentence);
  return sentence;
}
