// The progress card: follows one render's events until it ends.

import { followEvents, postJson } from "./api.js";
import { $, show, spoken } from "./dom.js";

const STAGES = {
  queued: "waiting", placed: "waiting", running: "getting ready", prepare: "getting ready", speech: "speaking", timing: "timing",
  frames: "drawing", assemble: "joining", captions: "captions", publish: "finishing",
};
const ENDS = new Set(["done", "failed", "cancelled"]);

let current = null;

export function stopFollowing() {
  current?.abort();
  current = null;
}

// Calls `onEnd(event)` with the last progress event. One render is shown at a time; the others go on unseen.
export async function follow(renderId, title, onEnd) {
  stopFollowing();
  const watch = (current = new AbortController());
  show("progress", true);
  $("progress-title").textContent = title ? `Making “${title}”` : "In the making";
  draw({ state: "queued", fraction: 0 });
  $("progress").scrollIntoView({ block: "nearest" });
  $("cancel").disabled = false;
  $("cancel").onclick = async () => {
    $("cancel").disabled = true;
    await postJson(`/api/renders/${encodeURIComponent(renderId)}/cancel`).catch(() => ($("cancel").disabled = false));
  };
  let last = null;
  const path = `/api/chat/renders/${encodeURIComponent(renderId)}/progress`;
  await followEvents(path, "progress", (event) => {
    draw((last = event));
    return ENDS.has(event.state);
  }, watch.signal);
  if (watch.signal.aborted) return;
  show("progress", false);
  onEnd(last);
}

function draw(event) {
  const named = event.stage && event.stage !== "queued" ? event.stage : event.state;
  const stage = STAGES[named] || named;
  $("progress-bar").value = event.fraction || 0;
  $("progress-stage").textContent = stage;
  $("progress-frames").textContent = event.total_frames ? `${event.done_frames} of ${event.total_frames}` : "–";
  $("progress-fps").textContent = event.fps ? event.fps.toFixed(0) : "–";
  $("progress-eta").textContent = event.eta_s == null ? "–" : duration(event.eta_s);
  $("progress-waits").textContent = event.waits || "";
  if (event.preview_url) $("progress-picture").src = event.preview_url;
  show("progress-picture", Boolean(event.preview_url));
  spoken(stage, event.fraction || 0);
}

function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  return whole < 90 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
