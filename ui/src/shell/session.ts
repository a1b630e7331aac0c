/** Which conversation this tab is in; kept over a reload, and shared by chat and snapshots. */
import { useSyncExternalStore } from "react";

const KEY = "soundstage.session";
const changed = new EventTarget();

export function goTo(session: string): void {
  if (session) sessionStorage.setItem(KEY, session);
  else sessionStorage.removeItem(KEY);
  changed.dispatchEvent(new Event("change"));
}

const listen = (on: () => void) => {
  changed.addEventListener("change", on);
  return () => changed.removeEventListener("change", on);
};

export const useSession = () => useSyncExternalStore(listen, () => sessionStorage.getItem(KEY) ?? "");
