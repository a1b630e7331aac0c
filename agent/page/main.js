// The page: a sentence goes to the Brain, its answer and the video come back.

import { getJson, postJson } from "./api.js";
import { $, element, show } from "./dom.js";
import { follow } from "./progress.js";
import { play, refreshVideos } from "./videos.js";

const SESSION = "soundstage.session";

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  ask($("utterance").value);
});
$("utterance").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("composer").requestSubmit();
});
$("key-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await postJson("/api/login", { key: $("key-value").value });
    $("key-value").value = "";
    show("key", false);
    show("problem", false);
    start();
  } catch (error) {
    complain({ ...error, message: error.message, status: 0 });
  }
});

async function ask(sentence, again = true) {
  if (!sentence.trim()) return;
  show("problem", false);
  show("answer", false);
  $("send").disabled = true;
  try {
    const answer = await postJson("/api/chat", { message: sentence, session_id: sessionStorage.getItem(SESSION) });
    sessionStorage.setItem(SESSION, answer.session_id);
    handle(answer);
  } catch (error) {
    if (error.code === "session.not_found" && again) {
      sessionStorage.removeItem(SESSION);
      return await ask(sentence, false);
    }
    complain(error);
  } finally {
    $("send").disabled = false;
  }
}

function handle(answer) {
  const failure = answer.events.find((event) => event.type === "error");
  if (failure) return complain(failure);
  const results = answer.events.filter((event) => event.type === "tool_result");
  const result = results.find((event) => event.tool === "make_render") ?? results.at(-1);
  const making = result?.tool === "make_render";
  $("answer-text").textContent = answer.reply;
  // What a language model wanted to do and nobody had asked for: one click puts the sentence for it into the field.
  const sayings = answer.events.filter((event) => event.type === "confirm" && event.say);
  $("answer-suggestions").replaceChildren(...sayings.map((event) => suggestion(event.say)));
  // The progress card says the same as the answer to a new video, and more.
  show("answer", !making && Boolean(answer.reply));
  if (making) watch(answer.render_id, result.result.title);
  else if (result?.tool === "show_render" && answer.render_id) open(answer.render_id);
  else refreshVideos(open).catch(complain);
}

async function watch(renderId, title) {
  refreshVideos(open).catch(complain);
  try {
    await follow(renderId, title, (last) => ended(renderId, last));
  } catch (error) {
    show("progress", false);
    complain(error);
  }
}

function ended(renderId, last) {
  refreshVideos(open, renderId).catch(complain);
  if (last?.state === "done") {
    show("answer", false);
    play(renderId).catch(complain);
  } else if (last?.state === "failed") {
    complain(last.failure || { code: "render.failed", message: "The video could not be made." });
  } else if (last?.state === "cancelled") {
    $("answer-text").textContent = "Cancelled. Nothing partial is left.";
    show("answer", true);
  }
}

async function open(renderId) {
  show("problem", false);
  try {
    const render = await getJson(`/api/renders/${encodeURIComponent(renderId)}`);
    if (render.state === "done") await play(renderId);
    else if (render.state === "failed") complain(render.error || { code: "render.failed", message: "It failed." });
    else if (render.state !== "cancelled") await watch(renderId, render.title);
  } catch (error) {
    complain(error);
  }
}

function complain(problem) {
  if (problem.status === 401) {
    show("key", true);
    $("key-value").focus();
    return;
  }
  $("problem-message").textContent = problem.message;
  $("problem-hint").textContent = problem.hint || "";
  $("problem-code").textContent = problem.code || "";
  $("problem-suggestions").replaceChildren(...(problem.suggestions || []).map(suggestion));
  show("problem", true);
  $("problem").scrollIntoView({ block: "nearest" });
}

function suggestion(text) {
  const button = element("button", { type: "button", textContent: text });
  button.addEventListener("click", () => {
    $("utterance").value = text;
    $("utterance").focus();
  });
  return element("li", {}, button);
}

async function start() {
  try {
    const help = await getJson("/api/chat/help");
    const making = help.find((entry) => entry.tool === "make_render");
    $("examples").replaceChildren(...(making?.examples ?? []).slice(0, 4).map(suggestion));
    const videos = await refreshVideos(open);
    const busy = videos.find((video) => !["done", "failed", "cancelled"].includes(video.state));
    if (busy) await watch(busy.id, busy.title);
  } catch (error) {
    complain(error);
  }
}

start();
