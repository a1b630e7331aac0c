// Talks to the server: JSON calls, and event streams that come back after a break.

export class Problem extends Error {
  constructor({ code = "page.failed", detail, message, title, hint = "", suggestions = [], status = 0 }) {
    super(detail || message || title || "Something went wrong.");
    Object.assign(this, { code, hint, suggestions, status });
  }
}

async function open(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
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

// Follows Server-Sent Events of one kind until `onEvent` returns true. The browser itself comes back after a broken
// connection; when the server refused instead (a restart behind a proxy), we ask again after a pause.
export function followEvents(path, kind, onEvent, signal) {
  return new Promise((done) => {
    let source = null;
    let timer = 0;
    const end = () => {
      clearTimeout(timer);
      source?.close();
      done();
    };
    const start = () => {
      source = new EventSource(path);
      source.addEventListener(kind, (event) => {
        if (onEvent(JSON.parse(event.data))) end();
      });
      source.onerror = () => {
        if (source.readyState === EventSource.CLOSED) timer = setTimeout(start, 2000);
      };
    };
    signal.addEventListener("abort", end, { once: true });
    start();
  });
}
