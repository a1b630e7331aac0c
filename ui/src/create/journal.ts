/** What is not saved yet, in the browser: it is there again when the page is opened anew. */
import type { Doc } from "./document";

interface Journal {
  /** What the server had when `doc` was made from it. */
  base: Doc;
  doc: Doc;
}

const place = (ref: string) => `soundstage.project.${ref}`;

export function writeJournal(ref: string, journal: Journal): void {
  try {
    localStorage.setItem(place(ref), JSON.stringify(journal));
  } catch {
    // Full, or forbidden by the browser: then it is in this page alone.
  }
}

export const clearJournal = (ref: string) => localStorage.removeItem(place(ref));

export function readJournal(ref: string): Journal | undefined {
  const stored = localStorage.getItem(place(ref));
  if (stored === null) return undefined;
  try {
    return JSON.parse(stored) as Journal;
  } catch {
    clearJournal(ref);
    return undefined;
  }
}
