/** Changes of an open project that can be taken back and made again. Letters of a text are the text field's own. */
import { useState } from "react";

export interface Change {
  /** As the button names it: “delete scene 2”. */
  name: string;
  forward: () => Promise<unknown>;
  backward: () => Promise<unknown>;
}

const MAX_CHANGES = 50;

export function useUndo() {
  const [done, setDone] = useState<Change[]>([]);
  const [undone, setUndone] = useState<Change[]>([]);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();

  /** One change at a time; true when it went well. */
  const attempt = async (call: () => Promise<unknown>): Promise<boolean> => {
    if (busy) return false;
    setBusy(true);
    setError(undefined);
    try {
      await call();
      return true;
    } catch (failure) {
      setError(failure);
      return false;
    } finally {
      setBusy(false);
    }
  };
  const run = async (change: Change) => {
    if (!(await attempt(change.forward))) return;
    setDone((changes) => [...changes.slice(1 - MAX_CHANGES), change]);
    setUndone([]);
  };
  const undo = async () => {
    const change = done.at(-1);
    if (!change || !(await attempt(change.backward))) return;
    setDone((changes) => changes.slice(0, -1));
    setUndone((changes) => [...changes, change]);
  };
  const redo = async () => {
    const change = undone.at(-1);
    if (!change || !(await attempt(change.forward))) return;
    setUndone((changes) => changes.slice(0, -1));
    setDone((changes) => [...changes, change]);
  };
  return { run, undo, redo, busy, error, last: done.at(-1)?.name, next: undone.at(-1)?.name };
}
