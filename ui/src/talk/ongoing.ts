/** The call of this tab, for what is loaded before anybody talks: the code of calls comes with the view that begins one. */
import { useSyncExternalStore } from "react";
import type { Call } from "../sound/call";

let call: Call | null = null;
const listeners = new Set<() => void>();

export function setCall(one: Call): void {
  call = one;
  for (const listener of listeners) listener();
}

/** Returns null as long as no view for calls was opened. */
export const getCall = () => call;

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

export const useOptionalCall = () => useSyncExternalStore(subscribe, getCall);
