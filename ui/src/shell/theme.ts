/** The colours of the page: those of the system, or light or dark, kept by the browser once chosen. */
import { useSyncExternalStore } from "react";

const KEY = "soundstage.theme";
export const THEMES = { system: "As the system", light: "Light", dark: "Dark" } as const;
export type Theme = keyof typeof THEMES;
const changed = new EventTarget();

const read = (): Theme => (localStorage.getItem(KEY) as Theme | null) ?? "system";

function show(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

export function chooseTheme(theme: Theme): void {
  if (theme === "system") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, theme);
  show(theme);
  changed.dispatchEvent(new Event("change"));
}

const listen = (on: () => void) => {
  changed.addEventListener("change", on);
  return () => changed.removeEventListener("change", on);
};

export const useTheme = () => useSyncExternalStore(listen, read);
show(read());
