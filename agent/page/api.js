// Talks to the server: JSON calls with the key, and event streams that resume where they broke off.

const KEY = "soundstage.key";

export class Problem extends Error {
  constructor({ code = "page.failed", detail, message, title, hint = "", suggestions = [], status = 0 }) {
    super(detail || message || title || "Something went wrong.");
    Object.assign(this, { code, hint, suggestions, status });
  }
}

export const key = {
  get: () => sessionStorage.getItem(KEY) || "",
  set: (value) => sessionStorage.setItem(KEY, value.trim()),
};

function headers(more = {}) {
  return key.get() ? { Authorization: `Bearer ${key.get()}`, ...more } : more;
}

async function open(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: headers(options.headers), credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ code: "page.offline", message: "The server does not answer.", hint: "Is `soundstage up` still running?" });
  }
  if (answer.ok) return answer;
  const body = await answer.json().catch(() => ({}));
  throw new Problem({ ...body, status: answer.status });
}

export async function getJson(path) {
  return (await open(path)).json();
}

export async function postJson(path, body) {
  const answer = await open(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify(body ?? {}),
  });
  return answer.status === 204 ? null : answer.json();
}

// Server-Sent Events over fetch, because EventSource cannot carry a key. Comes back with Last-Event-ID after a
// broken connection and ends when `onEvent` returns true.
export async function followEvents(path, onEvent, signal) {
  let last = "";
  let pause = 500;
  for (;;) {
    try {
      const more = last ? { "Last-Event-ID": last } : {};
      const answer = await open(path, { headers: { Accept: "text/event-stream", ...more }, signal });
      pause = 500;
      for await (const event of messages(answer.body)) {
        if (event.id) last = event.id;
        if (event.data && onEvent(event.type, JSON.parse(event.data))) return;
      }
    } catch (error) {
      if (signal?.aborted) return;
      if (error.status >= 400 && error.status < 500) throw error;
    }
    if (signal?.aborted) return;
    await new Promise((done) => setTimeout(done, pause));
    pause = Math.min(pause * 2, 8000);
  }
}

async function* messages(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value.replaceAll("\r\n", "\n");
      for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
        yield parse(text.slice(0, end));
        text = text.slice(end + 2);
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parse(block) {
  const event = { type: "message", id: "", data: "" };
  const data = [];
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon === 0) continue;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") data.push(value);
    else if (field === "event") event.type = value;
    else if (field === "id") event.id = value;
  }
  event.data = data.join("\n");
  return event;
}
