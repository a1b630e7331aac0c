/** What is not saved yet, in the browser: it is there again when the page is opened anew. */
import type { Scene } from "../api/client";
import { bodyOf, type Doc } from "./document";
import { sameBody } from "./save";

interface Journal {
  /** When each scene had been changed last, by its id, when this page read it. */
  versions: Record<string, string>;
  /** The keys of saved scenes are their ids. */
  doc: Doc;
}

const place = (ref: string) => `soundstage.project.${ref}`;

export function writeJournal(ref: string, doc: Doc, versions: Record<string, string>): void {
  try {
    localStorage.setItem(place(ref), JSON.stringify({ versions, doc } satisfies Journal));
  } catch {
    // Full, or forbidden by the browser: then it is scenesNow in this page alone.
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

/**
 * The document of the journal, with scenes that the server has got since. One that holds the same as a new scene of the
 * journal is that scene: it was created, and the page left before the answer came.
 */
export function merged(journal: Journal, scenes: readonly Scene[]): Doc {
  const present = new Set(scenes.map((scene) => scene.id));
  const scenesNow = journal.doc.scenes.filter((one) => !(one.key in journal.versions) || present.has(one.key));
  for (const [index, scene] of scenes.entries()) {
    if (scene.id in journal.versions) continue;
    const arrived = { key: scene.id, body: bodyOf(scene) };
    const created = scenesNow.findIndex((one) => !present.has(one.key) && sameBody(one.body, arrived.body));
    if (created >= 0) scenesNow[created] = arrived;
    else scenesNow.splice(index, 0, arrived);
  }
  return { ...journal.doc, scenes: scenesNow };
}
