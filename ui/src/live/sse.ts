/** Server-sent events over fetch: unlike EventSource it tells a refusal from a broken line. */
import { offline, problemOf } from "../api/problem";

export interface Message {
  id: string;
  event: string;
  data: string;
}

/** `opened`: the answer has begun; `received`: something has come, if only a heartbeat. */
interface Watching {
  opened?: (answer: Response) => void;
  received?: () => void;
}

export async function* messages(path: string, init: RequestInit, { opened, received }: Watching = {}): AsyncGenerator<Message> {
  const answer = await fetch(path, init).catch((error: unknown) => {
    if (init.signal?.aborted) throw error;
    throw offline();
  });
  if (!answer.ok) throw await problemOf(answer);
  opened?.(answer);
  if (answer.status === 204 || !answer.body) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      received?.();
      rest += value.replace(/\r\n?/g, "\n");
      const blocks = rest.split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const message = parsed(block);
        if (message) yield message;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function parsed(block: string): Message | null {
  const message = { id: "", event: "message", data: "" };
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const at = line.indexOf(":");
    if (at < 1) continue;
    const value = line.slice(at + 1).replace(/^ /, "");
    const name = line.slice(0, at);
    if (name === "data") data.push(value);
    else if (name === "id" || name === "event") message[name] = value;
  }
  message.data = data.join("\n");
  return data.length ? message : null;
}

export const pause = (ms: number, signal: AbortSignal) =>
  new Promise<void>((done) => {
    const timer = setTimeout(done, ms);
    const stop = () => {
      clearTimeout(timer);
      done();
    };
    signal.addEventListener("abort", stop, { once: true });
  });

/** Follows a stream over breaks, after the last event seen, until the server says that it is over. */
export async function follow(
  path: string,
  signal: AbortSignal,
  on: Watching & {
    after?: string;
    message: (one: Message) => boolean | undefined;
    /** The line is broken; it is tried again. */
    broken?: () => void;
    fatal?: (error: unknown) => void;
  },
): Promise<void> {
  let last = on.after ?? "";
  let wait = 500;
  while (!signal.aborted) {
    try {
      const headers: Record<string, string> = last ? { "Last-Event-ID": last } : {};
      const answer = messages(path, { headers, signal }, on);
      for await (const one of answer) {
        wait = 500;
        last = one.id || last;
        if (on.message(one)) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      const status = (error as { status?: number }).status ?? 0;
      if (status >= 400 && status < 500) return on.fatal?.(error);
    }
    if (signal.aborted) return;
    on.broken?.();
    await pause(wait, signal);
    wait = Math.min(wait * 2, 4000);
  }
}
