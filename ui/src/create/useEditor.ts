/** The open project: its document with undo and redo, saved by itself; another tab's changes come in, and none is lost. */
import { t } from "@lingui/core/macro";
import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { api, body, type Project, type Scene } from "../api/client";
import { bodyOf, changeScene, type Doc, docOf, type History, record, redo, type SceneBody, startHistory, undo } from "./document";
import { clearJournal, merged, readJournal, writeJournal } from "./journal";
import { Saver, SceneConflict } from "./save";

const AUTOSAVE_MS = 600;
const RETRY_MS = 4000;

export type SaveState = "saved" | "saving" | "conflict" | "failed";

export interface Editor {
  doc: Doc;
  saveState: SaveState;
  error: unknown;
  conflict: SceneConflict | null;
  undoName: string;
  redoName: string;
  /** `group`: typing in one field is undone as one. */
  edit: (name: string, change: (doc: Doc) => Doc, group?: string) => void;
  undo: () => void;
  redo: () => void;
  /** Saves what is not saved yet; true when the server has everything. */
  flush: () => Promise<boolean>;
  settle: (keep: "mine" | "theirs") => void;
  /** The server's id of a scene; undefined while it is not saved. */
  idOf: (key: string) => string | undefined;
}

export function useEditor(project: Project, scenes: readonly Scene[]): Editor {
  const queries = useQueryClient();
  const [journal] = useState(() => readJournal(project.id));
  const [history, setHistory] = useState<History>(() => {
    const start = startHistory(docOf(project, scenes));
    return journal ? record(start, merged(journal, scenes), t`What was not saved`, "", Date.now()) : start;
  });
  const [saveState, setSaveState] = useState<SaveState>("saved");
  const [error, setError] = useState<unknown>(null);
  const [conflict, setConflict] = useState<SceneConflict | null>(null);
  const [saver] = useState(() => {
    const created = new Saver(project.id, scenes);
    if (journal) created.restore(journal.versions);
    return created;
  });
  const saved = useRef(history.past[0]?.doc ?? history.doc);
  const latest = useRef(history.doc);
  const running = useRef<Promise<boolean> | null>(null);
  latest.current = history.doc;

  const keep = useCallback(() => {
    const { scenes: unsaved, ...look } = latest.current;
    const named = unsaved.map((scene) => ({ ...scene, key: saver.id(scene.key) ?? scene.key }));
    writeJournal(project.id, { ...look, scenes: named }, saver.versionsById());
  }, [saver, project.id]);

  const push = useCallback(async (): Promise<boolean> => {
    while (saved.current !== latest.current) {
      setSaveState("saving");
      try {
        await saver.push(saved.current, latest.current, (doc) => {
          saved.current = doc;
          keep();
        });
      } catch (failure) {
        const clash = failure instanceof SceneConflict;
        if (clash) setConflict(failure);
        else setError(failure);
        setSaveState(clash ? "conflict" : "failed");
        return false;
      }
    }
    setError(null);
    setSaveState("saved");
    clearJournal(project.id);
    void queries.invalidateQueries({ queryKey: ["projects"] });
    return true;
  }, [queries, saver, project.id, keep]);

  const flush = useCallback(async (): Promise<boolean> => {
    if (running.current) await running.current;
    running.current = push();
    const done = await running.current;
    running.current = null;
    return done;
  }, [push]);

  useEffect(() => {
    if (history.doc === saved.current || conflict) return;
    setSaveState("saving");
    keep();
    const timer = setTimeout(() => void flush(), AUTOSAVE_MS);
    return () => clearTimeout(timer);
  }, [history.doc, conflict, flush, keep]);

  useEffect(() => {
    if (saveState !== "failed") return;
    const timer = setInterval(() => void flush(), RETRY_MS);
    return () => clearInterval(timer);
  }, [saveState, flush]);

  useEffect(() => {
    const unsaved = (event: BeforeUnloadEvent) => saved.current !== latest.current && event.preventDefault();
    // Who comes back from another tab sees what was done there, unless something here waits to be saved.
    const look = async () => {
      if (document.hidden || saved.current !== latest.current || running.current) return;
      const path = { ref: project.id };
      const theirs = await body(api.GET("/api/projects/{ref}/scenes", { params: { path } })).catch(() => null);
      if (!theirs || saved.current !== latest.current) return;
      const known = saved.current.scenes.map((scene) => `${saver.id(scene.key)} ${saver.updatedAt(scene.key)}`);
      if (known.join() === theirs.map((one) => `${one.id} ${one.updated_at}`).join()) return;
      const incoming = theirs.map((one) => ({ key: saver.keyOf(one.id), body: bodyOf(one) }));
      for (const one of theirs) saver.read(saver.keyOf(one.id), one);
      saver.setOrder(theirs.map((one) => one.id));
      const doc = { ...saved.current, scenes: incoming };
      saved.current = doc;
      setHistory((before) => record(before, doc, t`Changes of another tab`, "", Date.now()));
    };
    const looked = () => void look();
    addEventListener("beforeunload", unsaved);
    addEventListener("focus", looked);
    document.addEventListener("visibilitychange", looked);
    return () => {
      removeEventListener("beforeunload", unsaved);
      removeEventListener("focus", looked);
      document.removeEventListener("visibilitychange", looked);
      // Left before the pause was over.
      if (saved.current !== latest.current) void flush();
    };
  }, [project.id, saver, flush]);

  return {
    doc: history.doc,
    // From the first paint after an edit; the effect that starts the timer runs later.
    saveState: saveState === "saved" && history.doc !== saved.current ? "saving" : saveState,
    error,
    conflict,
    undoName: history.past.at(-1)?.name ?? "",
    redoName: history.future[0]?.name ?? "",
    edit: (name, change, group = "") => setHistory((before) => record(before, change(before.doc), name, group, Date.now())),
    undo: () => setHistory(undo),
    redo: () => setHistory(redo),
    flush,
    idOf: saver.id,
    settle: (keep) => {
      if (!conflict) return;
      const theirs: SceneBody = bodyOf(conflict.theirs);
      saver.read(conflict.key, conflict.theirs);
      saved.current = changeScene(saved.current, conflict.key, theirs);
      if (keep === "theirs")
        setHistory((before) =>
          record(before, changeScene(before.doc, conflict.key, theirs), t`Text of the other tab`, "", Date.now()),
        );
      setConflict(null);
      setSaveState("saving");
    },
  };
}
