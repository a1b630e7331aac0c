/** The language of the page: that of the browser where the page speaks it, or the one chosen, stored by the browser. */
import { i18n, type Messages } from "@lingui/core";
import { store, useStored } from "./stored";

const KEY = "soundstage.language";
/** Each in its own words. */
export const LANGUAGES = { en: "English", de: "Deutsch" } as const;
export type Language = keyof typeof LANGUAGES;

interface Catalogue {
  messages: Messages;
  /** Of the tools, by the keys of `kit/labels.json`. */
  labels: Record<string, string>;
}

/** What each language but English fetches; English stands in the code. */
const CATALOGUES: Record<Exclude<Language, "en">, () => Promise<Catalogue>> = {
  de: async () => {
    const [{ messages }, { default: labels }] = await Promise.all([
      import("../locales/de.po"),
      import("../locales/labels.de.json"),
    ]);
    return { messages, labels };
  },
};

/** English; also where a catalogue does not come. */
const EMPTY: Catalogue = { messages: {}, labels: {} };

const isLanguage = (name: string | null): name is Language => name !== null && name in LANGUAGES;
const read = (): Language | "system" => {
  const stored = localStorage.getItem(KEY);
  return isLanguage(stored) ? stored : "system";
};
const baseOf = (tag: string) => tag.toLowerCase().split("-", 1)[0] ?? "";

/** The first that the browser asks for and the page speaks. */
const ofBrowser = (): Language => navigator.languages.map(baseOf).find(isLanguage) ?? "en";

export const useLanguage = () => useStored(read);

/** Dates and numbers keep the region of the browser: 24.12. in Austria, 24/12 in Britain. */
const regional = (language: Language) => [...navigator.languages.filter((tag) => baseOf(tag) === language), language];

let labels: Record<string, string> = {};
/** What a tool call is called in the language of the page; undefined where its own name is the one. */
export const translatedLabel = (key: string): string | undefined => labels[key];

/** Of the choices made while a catalogue is on its way, the last one counts. */
export async function showLanguage(): Promise<void> {
  const stored = read();
  const language = stored === "system" ? ofBrowser() : stored;
  const catalogue = language === "en" ? EMPTY : await CATALOGUES[language]().catch(() => EMPTY);
  if (read() !== stored) return;
  labels = catalogue.labels;
  document.documentElement.lang = language;
  i18n.loadAndActivate({ locale: language, locales: regional(language), messages: catalogue.messages });
}

export function chooseLanguage(chosen: Language | "system"): void {
  store(KEY, chosen === "system" ? null : chosen);
  void showLanguage();
}

addEventListener("languagechange", () => void showLanguage());
