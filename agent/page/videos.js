// The player and the list of videos.

import { getJson } from "./api.js";
import { $, element, show } from "./dom.js";

const LABELS = { video: "MP4", vtt: "Captions (VTT)", srt: "Captions (SRT)", provenance: "Provenance", poster: "Poster" };

const STATES = {
  queued: "in the making", placed: "in the making", running: "in the making", failed: "failed", cancelled: "cancelled",
};

const fileUrl = (renderId, role) => `/api/renders/${encodeURIComponent(renderId)}/files/${role}`;

export async function refreshVideos(onOpen, current = "") {
  const renders = await getJson("/api/renders?limit=60");
  $("videos").replaceChildren(...renders.map((render) => tile(render, onOpen, current)));
  show("no-videos", renders.length === 0);
  return renders;
}

function tile(render, onOpen, current) {
  const picture = element("span", { className: "picture" });
  if (render.state === "done") {
    picture.append(element("img", { src: fileUrl(render.id, "poster"), alt: "", loading: "lazy" }));
  } else {
    picture.append(element("span", { className: `state-${render.state}`, textContent: STATES[render.state] }));
  }
  const words = element("span", { className: "words" },
    element("span", { className: "title", textContent: render.title }),
    element("span", { className: "quiet", textContent: facts(render) }));
  const button = element("button", { type: "button", className: "tile" }, picture, words);
  if (render.id === current) button.setAttribute("aria-current", "true");
  button.addEventListener("click", () => onOpen(render.id));
  return element("li", {}, button);
}

export async function play(renderId) {
  const render = await getJson(`/api/renders/${encodeURIComponent(renderId)}`);
  const roles = render.outputs.map((output) => output.role);
  const video = $("video");
  video.replaceChildren();
  if (roles.includes("vtt")) {
    const track = element("track", { kind: "captions", src: fileUrl(renderId, "vtt"), srclang: "en", label: "Captions" });
    track.default = true;
    video.append(track);
  }
  video.poster = roles.includes("poster") ? fileUrl(renderId, "poster") : "";
  video.src = fileUrl(renderId, "video");
  $("player-title").textContent = render.title;
  $("player-facts").textContent = facts(render);
  $("player-files").replaceChildren(...Object.keys(LABELS).filter((role) => roles.includes(role)).map((role) =>
    element("li", {}, element("a", { href: fileUrl(renderId, role), textContent: LABELS[role], download: "" }))));
  show("player", true);
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  $("player").scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "nearest" });
}

function facts(render) {
  const parts = [];
  if (render.duration_ms) parts.push(clock(render.duration_ms));
  if (render.created_at) parts.push(new Date(render.created_at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }));
  return parts.join(" · ");
}

function clock(milliseconds) {
  const seconds = Math.max(1, Math.floor(milliseconds / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
