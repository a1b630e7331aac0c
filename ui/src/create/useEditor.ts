/** The open project: its document with undo and redo, saved by itself; changes of others come in, and none is lost. */
import { t } from "@lingui/core/macro";
import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import type { ProjectState } from "../api/client";
import { Problem } from "../api/problem";
import { onLiveEvent } from "../live/Live";
import { changesOf, merge, shareScenes, type WordsConflict } from "./changes";
import { changeScene, type Doc, docOf, type History, rebase, record, redo, startHistory, undo } from "./document";
import { claimJournal, clearJournal, openJournal, readJournal, writeJournal } from "./journal";
import { fetchState, sendChanges } from "./save";

const AUTOSAVE_MS = 600;
const RETRY_MS = 4000;

export type SaveState = "saved" | "saving" | "conflict" | "failed";

export interface Editor {
  doc: Doc;
  saveState: SaveState;
  error: unknown;
  conflict: WordsConflict | undefined;
  undoName: string;
  redoName: string;
  /** `group`: typing in one field is undone as one. The function is the same one for the whole time. */
  edit: (name: string, change: (doc: Doc) => Doc, group?: string) => void;
  undo: () => void;
  redo: () => void;
  /** Saves what is not saved yet; true when the server has everything. */
  flush: () => Promise<boolean>;
  /** Takes over what has changed on the server. */
  refresh: () => Promise<void>;
  settle: (keep: "mine" | "theirs") => void;
}

/** What the server has: a document, and its revision there. */
interface Base {
  doc: Doc;
  revision: number;
}

const baseOf = ({ project, scenes }: ProjectState): Base => ({ doc: docOf(project, scenes), revision: project.revision });

/** Outside the rendering, because saving goes on while a person types. */
interface Work {
  base: Base;
  history: History;
  /** The server's newer state, whose conflicts a person decides first. */
  theirs: Base | null;
  keptMine: Set<string>;
  newestRevision: number;
}

function startWork(state: ProjectState): Work {
  const base = baseOf(state);
  return { base, history: startHistory(base.doc), theirs: null, keptMine: new Set<string>(), newestRevision: 0 };
}

/** Puts what an editor before this one did not save on what is here, which is saved. */
function addUnsaved(work: Work, key: string): void {
  const { base, history } = work;
  const journal = readJournal(key, base.doc);
  if (!journal) return;
  const { doc, conflicts } = merge(journal.base, journal.doc, base.doc);
  work.history = record(history, doc, t`What was not saved`, "", Date.now());
  if (conflicts.length > 0) {
    work.base = { ...base, doc: journal.base };
    work.theirs = base;
  } else if (doc === base.doc) clearJournal(key);
}

const conflictsOf = ({ base, history, theirs, keptMine }: Work) =>
  theirs ? merge(base.doc, history.doc, theirs.doc).conflicts.filter(({ key }) => !keptMine.has(key)) : [];

export function useEditor(state: ProjectState): Editor {
  const ref = state.project.id;
  const queries = useQueryClient();
  const [work] = useState(() => startWork(state));
  const [, draw] = useState(0);
  const [saveState, setSaveState] = useState<SaveState>("saved");
  const [error, setError] = useState<unknown>(null);
  const running = useRef<Promise<boolean> | null>(null);
  const place = useRef("");
  const isOpen = useRef(false);
  const { doc } = work.history;

  useEffect(() => {
    const { key, release } = openJournal(ref);
    place.current = key;
    isOpen.current = true;
    return () => {
      isOpen.current = false;
      release();
    };
  }, [ref]);

  const update = useCallback(
    (change: (history: History) => History) => {
      work.history = change(work.history);
      draw((count) => count + 1);
    },
    [work],
  );

  /** Puts what is not saved on a newer state of the server, unless a person has to decide first. */
  const take = useCallback(
    (newer: Base): boolean => {
      const before = work.base.doc;
      const theirs = { ...newer, doc: shareScenes(newer.doc, before) };
      work.theirs = theirs;
      if (conflictsOf(work).length > 0) {
        draw((count) => count + 1);
        return false;
      }
      work.base = theirs;
      work.theirs = null;
      work.keptMine.clear();
      update((history) => rebase(history, (one) => merge(before, one, theirs.doc).doc));
      return true;
    },
    [work, update],
  );

  const push = useCallback(async (): Promise<boolean> => {
    const isSaved = () => work.base.doc === work.history.doc;
    while (!isSaved() && !work.theirs) {
      setSaveState("saving");
      const { doc } = work.history;
      try {
        const revision = await sendChanges(ref, work.base.revision, changesOf(work.base.doc, doc));
        work.base = { revision, doc };
        writeJournal(place.current, { base: work.base.doc, doc: work.history.doc });
      } catch (failure) {
        const current = failure instanceof Problem && failure.code === "project.changed" && failure.document.current;
        if (current) take(baseOf(current as ProjectState));
        else {
          setError(failure);
          setSaveState("failed");
          return false;
        }
      }
    }
    setError(null);
    if (work.theirs) return false;
    setSaveState("saved");
    clearJournal(place.current);
    void queries.invalidateQueries({ queryKey: ["projects"] });
    return true;
  }, [queries, work, ref, take]);

  const isIdle = useCallback(
    () => isOpen.current && work.base.doc === work.history.doc && !running.current && !work.theirs,
    [work],
  );

  /** One tab's at a time: what two have written in one scene is asked one after the other. */
  const takeUnsaved = useCallback(
    () =>
      claimJournal(ref, place.current, isIdle, () => {
        addUnsaved(work, place.current);
        draw((count) => count + 1);
      }),
    [work, ref, isIdle],
  );

  const flush = useCallback(async (): Promise<boolean> => {
    if (running.current) await running.current;
    running.current = push();
    const done = await running.current;
    running.current = null;
    if (done) void takeUnsaved();
    return done;
  }, [push, takeUnsaved]);

  useEffect(() => void takeUnsaved(), [takeUnsaved]);

  /** What others have changed; where something here waits to be saved, the answer to that brings it. */
  const look = useCallback(async () => {
    if (!isIdle()) return;
    const found = await fetchState(ref).catch(() => null);
    if (found && isIdle() && found.project.revision > work.base.revision) take(baseOf(found));
    await takeUnsaved();
  }, [work, ref, take, isIdle, takeUnsaved]);

  useEffect(() => {
    if (doc === work.base.doc) {
      // Undone before it was saved.
      if (isIdle()) {
        clearJournal(place.current);
        setSaveState("saved");
      }
      return;
    }
    // Also while a person decides between two texts: what is typed elsewhere meanwhile is saved after that.
    writeJournal(place.current, { base: work.base.doc, doc });
    if (work.theirs) return;
    setSaveState("saving");
    const timer = setTimeout(() => void flush(), AUTOSAVE_MS);
    return () => clearTimeout(timer);
  }, [doc, work, flush, isIdle]);

  useEffect(() => {
    if (saveState !== "failed") return;
    const timer = setInterval(() => void flush(), RETRY_MS);
    return () => clearInterval(timer);
  }, [saveState, flush]);

  useEffect(() => {
    // An event may come while something is saved, and be of another page.
    if (saveState === "saved" && work.newestRevision > work.base.revision) void look();
    return onLiveEvent(({ stream, kind, data }) => {
      if (stream !== `project:${ref}` || kind !== "project.changed") return;
      work.newestRevision = Math.max(work.newestRevision, Number(data.revision));
      if (work.newestRevision > work.base.revision) void look();
    });
  }, [saveState, work, ref, look]);

  useEffect(() => {
    const isUnsaved = () => work.base.doc !== work.history.doc;
    const unsaved = (event: BeforeUnloadEvent) => isUnsaved() && event.preventDefault();
    const looked = () => void (document.hidden || look());
    addEventListener("beforeunload", unsaved);
    addEventListener("focus", looked);
    document.addEventListener("visibilitychange", looked);
    return () => {
      removeEventListener("beforeunload", unsaved);
      removeEventListener("focus", looked);
      document.removeEventListener("visibilitychange", looked);
      // Left before the pause was over.
      if (isUnsaved()) void flush();
    };
  }, [work, flush, look]);

  const edit = useCallback<Editor["edit"]>(
    (name, change, group = "") => update((history) => record(history, change(history.doc), name, group, Date.now())),
    [update],
  );
  const conflict = conflictsOf(work)[0];
  return {
    doc,
    // From the first paint after an edit; the effect that starts the timer runs later.
    saveState: conflict ? "conflict" : saveState === "saved" && doc !== work.base.doc ? "saving" : saveState,
    error,
    conflict,
    undoName: work.history.past.at(-1)?.name ?? "",
    redoName: work.history.future[0]?.name ?? "",
    edit,
    undo: () => update(undo),
    redo: () => update(redo),
    flush,
    refresh: look,
    settle: (keep) => {
      if (!conflict || !work.theirs) return;
      const { key, theirs } = conflict;
      if (keep === "mine") work.keptMine.add(key);
      else {
        const words = { script: theirs.script, overlays: theirs.overlays };
        update((history) => record(history, changeScene(history.doc, key, words), t`Text of the other tab`, "", Date.now()));
      }
      if (take(work.theirs)) void flush();
    },
  };
}
