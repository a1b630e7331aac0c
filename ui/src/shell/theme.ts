/** The colours of the page: those of the system, or light or dark, kept by the browser once chosen. */
import { msg } from "@lingui/core/macro";
import { store, useStored } from "../kit/stored";

const KEY = "soundstage.theme";
export const THEMES = { system: msg`System`, light: msg`Light`, dark: msg`Dark` };
export type Theme = keyof typeof THEMES;

const read = (): Theme => (localStorage.getItem(KEY) as Theme | null) ?? "system";

function show(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

export function chooseTheme(theme: Theme): void {
  show(theme);
  store(KEY, theme === "system" ? null : theme);
}

export const useTheme = () => useStored(read);
show(read());
