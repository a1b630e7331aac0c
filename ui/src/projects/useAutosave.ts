/** Saves a text while it is written, some time after the last letter, and keeps it in the browser until it is saved. */
import { useCallback, useEffect, useRef, useState } from "react";

const PAUSE_MS = 700;
const RETRY_MS = 4000;

export type Saving = "saved" | "unsaved" | "saving" | "failed" | "conflict";

export interface Autosaved {
  text: string;
  write: (text: string) => void;
  state: Saving;
  /** The text of the server, where somebody else has changed it meanwhile. */
  theirs: string | undefined;
  /** Ends a conflict with one of the two texts. */
  resolve: (text: string) => void;
  /** Saves now; ends when it is saved, or was found to be in conflict. */
  flush: () => Promise<void>;
}

/** A text of the server, and when it was changed last. */
export interface Version {
  text: string;
  at: string;
}

interface Draft {
  base: string;
  text: string;
}

/**
 * `stored` is the server's text; `read` reads it anew and `save` writes it, and returns what the server has then. A text that somebody else has changed since it
 * was read is not written over: the state is then `conflict`. `key` names the copy in the browser's storage.
 */
export function useAutosave(
  key: string,
  stored: Version,
  read: () => Promise<Version>,
  save: (text: string) => Promise<Version>,
): Autosaved {
  const [draft] = useState(() => unsaved(key));
  const [text, setText] = useState(draft?.text ?? stored.text);
  const [state, setState] = useState<Saving>(draft ? "unsaved" : "saved");
  const [theirs, setTheirs] = useState<string>();
  const base = useRef(draft?.base ?? stored.text);
  const at = useRef(stored.at);
  const newest = useRef(text);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const running = useRef<Promise<void>>(undefined);
  const open = useRef(true);
  const calls = useRef({ read, save });
  calls.current = { read, save };

  const once = useCallback(async () => {
    setState("saving");
    const sent = newest.current;
    let next: Saving = "saved";
    try {
      const now = await calls.current.read();
      if (now.text !== base.current && now.text !== sent) {
        setTheirs(now.text);
        next = "conflict";
      } else {
        const saved = now.text === sent ? now : await calls.current.save(sent);
        base.current = sent;
        at.current = saved.at;
        if (newest.current === sent) localStorage.removeItem(key);
        else keep(key, { base: sent, text: newest.current });
      }
    } catch {
      next = "failed";
    }
    const more = newest.current !== base.current && next !== "conflict";
    setState(next === "saved" && more ? "unsaved" : next);
    if (more && open.current) timer.current = setTimeout(() => void flushed.current(), next === "failed" ? RETRY_MS : PAUSE_MS);
  }, [key]);

  const flush = useCallback(async () => {
    clearTimeout(timer.current);
    await running.current;
    if (newest.current === base.current) return;
    running.current = once().finally(() => {
      running.current = undefined;
    });
    await running.current;
  }, [once]);
  const flushed = useRef(flush);
  flushed.current = flush;

  const write = (written: string) => {
    newest.current = written;
    setText(written);
    keep(key, { base: base.current, text: written });
    setState((before) => (before === "conflict" ? before : "unsaved"));
    clearTimeout(timer.current);
    if (theirs === undefined) timer.current = setTimeout(() => void flush(), PAUSE_MS);
  };

  const resolve = (chosen: string) => {
    base.current = theirs ?? base.current;
    newest.current = chosen;
    setTheirs(undefined);
    setText(chosen);
    setState("unsaved");
    if (chosen === base.current) {
      localStorage.removeItem(key);
      setState("saved");
    } else void flush();
  };

  // What another tab or the conversation has changed appears here, unless something of ours is not saved yet. A list that
  // was read before our last change is older.
  useEffect(() => {
    if (newest.current !== base.current || running.current || Date.parse(stored.at) <= Date.parse(at.current)) return;
    base.current = stored.text;
    newest.current = stored.text;
    at.current = stored.at;
    setText(stored.text);
  }, [stored.text, stored.at]);

  useEffect(() => {
    open.current = true;
    if (newest.current !== base.current) void flush();
    const leave = () => void flush();
    addEventListener("visibilitychange", leave);
    return () => {
      removeEventListener("visibilitychange", leave);
      open.current = false;
      leave();
    };
  }, [flush]);

  return { text, write, state, theirs, resolve, flush };
}

function unsaved(key: string): Draft | undefined {
  const text = localStorage.getItem(key);
  if (text === null) return undefined;
  try {
    return JSON.parse(text) as Draft;
  } catch {
    return undefined;
  }
}

function keep(key: string, draft: Draft): void {
  localStorage.setItem(key, JSON.stringify(draft));
}
