/** What the browser stores of somebody's choices; who shows one sees when it changes. */
import { useSyncExternalStore } from "react";

const changed = new EventTarget();

/** Null removes it. */
export function store(key: string, value: string | null, storage: Storage = localStorage): void {
  if (value === null) storage.removeItem(key);
  else storage.setItem(key, value);
  changed.dispatchEvent(new Event("change"));
}

const listen = (on: () => void) => {
  changed.addEventListener("change", on);
  return () => changed.removeEventListener("change", on);
};

/** `read` returns a plain value, not a new object each time. */
export const useStored = <T extends string | number | boolean>(read: () => T): T => useSyncExternalStore(listen, read);
