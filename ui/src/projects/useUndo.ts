/** Changes of an open project that can be taken back and made again. Letters of a text are the text field's own. */
import { useRef, useState } from "react";

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
  const [waiting, setWaiting] = useState(0);
  const [error, setError] = useState<unknown>();
  const queue = useRef(Promise.resolve(true));

  /** One call after the other; true when it went well. */
  const attempt = (call: () => Promise<unknown>): Promise<boolean> => {
    setWaiting((count) => count + 1);
    queue.current = queue.current.then(async () => {
      setError(undefined);
      try {
        await call();
        return true;
      } catch (failure) {
        setError(failure);
        return false;
      } finally {
        setWaiting((count) => count - 1);
      }
    });
    return queue.current;
  };
  const run = async (change: Change) => {
    if (!(await attempt(change.forward))) return;
    setDone((changes) => [...changes.slice(1 - MAX_CHANGES), change]);
    setUndone([]);
  };
  const undo = async () => {
    const change = done.at(-1);
    if (!change || waiting > 0 || !(await attempt(change.backward))) return;
    setDone((changes) => changes.slice(0, -1));
    setUndone((changes) => [...changes, change]);
  };
  const redo = async () => {
    const change = undone.at(-1);
    if (!change || waiting > 0 || !(await attempt(change.forward))) return;
    setUndone((changes) => changes.slice(0, -1));
    setDone((changes) => [...changes, change]);
  };
  return { run, undo, redo, busy: waiting > 0, error, last: done.at(-1)?.name, next: undone.at(-1)?.name };
}
