/** One scene of the script: who speaks, the words, and what can be done with it. */

import { t } from "@lingui/core/macro";
import { useLingui } from "@lingui/react";
import { memo, useId, useRef } from "react";
import type { Project } from "../api/client";
import { keysText } from "../kit/keys";
import { ErrorNotice } from "../kit/kit";
import { addScene, changeScene, changeScript, mergeWithPrevious, newKey, type SceneDoc, splitScene } from "./document";
import { GestureMenu } from "./GestureMenu";
import { speakerMark } from "./marks";
import { PresenterButton } from "./PresenterPicker";
import { SpeakerMarks, Speakers } from "./SceneSpeakers";
import { SceneTools } from "./SceneTools";
import { ScriptField } from "./ScriptField";
import { SpeechStrip } from "./SpeechStrip";
import { caretOf, secondsOf, spokenWords, wordAt } from "./script";
import type { Editor } from "./useEditor";
import { useNear } from "./useNear";
import type { Speech } from "./useSpeech";

interface Props {
  scene: SceneDoc;
  before: SceneDoc | undefined;
  place: number;
  count: number;
  edit: Editor["edit"];
  persona: Project["persona"];
  selected: boolean;
  changed: boolean;
  /** Of the selected scene, for those who may have it spoken. */
  speech: Speech | null;
  onSelect: (key: string) => void;
  /** Leads to what is on screen. */
  onOnScreen: () => void;
}

/** So many are drawn whole at once. */
const FIRST = 8;

export const focusScript = (key: string, caret?: number) =>
  // After the change is drawn.
  requestAnimationFrame(() => {
    const field = document.getElementById(`script-${key}`) as HTMLTextAreaElement | null;
    field?.focus();
    if (caret !== undefined) field?.setSelectionRange(caret, caret);
  });

/** Drawn anew only when something of it has changed; far from what is seen it has its heading and its words alone. */
export const SceneSection = memo(function SceneSection(props: Props) {
  const { scene, before, place, count, edit, persona, selected, changed, speech, onSelect, onOnScreen } = props;
  // Another language draws it anew, too.
  useLingui();
  const frame = useRef<HTMLElement>(null);
  const near = useNear(frame, place < FIRST) || selected;
  const { key, body } = scene;
  const id = `script-${key}`;
  const title = useId();
  const number = place + 1;
  const field = () => document.getElementById(id) as HTMLTextAreaElement | null;

  const split = (caret: number) => {
    const next = newKey();
    edit(t`Split scene`, (doc) => splitScene(doc, key, caret, next));
    focusScript(next, 0);
  };
  const merge = () => {
    if (!before) return;
    const caret = before.body.script.length && before.body.script.length + 1;
    edit(t`Join scenes`, (doc) => mergeWithPrevious(doc, key));
    focusScript(before.key, caret);
  };
  const write = (name: string, change: (text: string, from: number, to: number) => [text: string, caret: number]) => {
    const at = field();
    const [from, to] = [at?.selectionStart ?? body.script.length, at?.selectionEnd ?? body.script.length];
    const [script, caret] = change(body.script, from, to);
    edit(name, (doc) => changeScript(doc, key, script));
    focusScript(key, caret);
  };
  const insert = (name: string, mark: string) =>
    write(name, (text, from, to) => {
      const spaced = `${from > 0 && !/\s$/.test(text.slice(0, from)) ? " " : ""}${mark}${/^\s/.test(text.slice(to)) ? "" : " "}`;
      return [text.slice(0, from) + spaced + text.slice(to), from + spaced.length];
    });
  /** From the word at the caret; from the start where that is behind the last. */
  const listen = (caret: number) => {
    const word = Math.max(0, wordAt(body.script, caret));
    speech?.play(caret < body.script.trimEnd().length && word < spokenWords(body.script).length ? word : 0);
  };
  const fromWord = (word: number) => {
    const caret = caretOf(body.script, word);
    focusScript(key, caret);
    speech?.play(word);
  };
  const emphasise = () => write(t`Emphasis`, emphasised);

  return (
    // biome-ignore lint/a11y: the mouse selects it anywhere, the keyboard by the fields inside
    <section ref={frame} className={selected ? "scene selected" : "scene"} aria-labelledby={title} onClick={() => onSelect(key)}>
      <header className="scene-head">
        <span className="row">
          <h2 id={title}>{t`Scene ${number}`}</h2>
          {near && changed && <span className="chip warn">{t`changed`}</span>}
        </span>
        {near && (
          <>
            <span className="row cast">
              <PresenterButton
                label={t`Presenter of scene ${number}`}
                value={body.persona}
                fallback={persona}
                without={body.speakers.map((one) => one.persona)}
                onChange={(chosen) => edit(t`Presenter`, (doc) => changeScene(doc, key, { persona: chosen }))}
              />
              <Speakers scene={scene} number={number} edit={edit} persona={persona} />
            </span>
            <span className="row end">
              <span className="quiet">≈ {t`${Math.max(1, Math.round(secondsOf(body)))} s`}</span>
              <SceneTools scene={key} number={number} count={count} edit={edit} />
            </span>
          </>
        )}
      </header>
      <ScriptField
        id={id}
        label={t`Script of scene ${number}`}
        value={body.script}
        onFocus={() => onSelect(key)}
        onChange={(script) => edit(t`Typing`, (doc) => changeScript(doc, key, script), `script ${key}`)}
        onSplit={split}
        onMergeBack={merge}
      />
      {speech?.sheet && <SpeechStrip speech={speech} sheet={speech.sheet} scene={scene} number={number} onWord={fromWord} />}
      {speech?.error ? <ErrorNotice error={speech.error} /> : null}
      {selected && (
        <fieldset className="marks" aria-label={t`Marks of scene ${number}`}>
          <span className="row">
            {speech && (
              <button
                type="button"
                disabled={speech.phase === "making" || secondsOf(body) === 0}
                onClick={() => (speech.phase === "playing" ? speech.stop() : listen(field()?.selectionStart ?? 0))}
              >
                {speech.phase === "playing" ? `◼ ${t`Stop`}` : `▶ ${speech.phase === "making" ? t`Speaking` : t`Listen`}`}
              </button>
            )}
            <button type="button" onClick={() => insert(t`Pause`, "[pause 500ms]")}>{t`Pause`}</button>
            <button type="button" onClick={emphasise}>{t`Emphasis`}</button>
            <button type="button" title={t`To what is on screen in this scene; Escape leads back`} onClick={onOnScreen}>
              {t`On screen`} ↘
            </button>
            <GestureMenu onChoose={(gesture) => insert(t`Gesture`, `[gesture ${gesture}]`)} />
          </span>
          {body.speakers.length > 0 && (
            <span className="row">
              <SpeakerMarks scene={scene} persona={persona} onChoose={(name) => insert(t`Speaker`, speakerMark(name))} />
            </span>
          )}
          <span className="row">
            <button
              type="button"
              title={keysText("Ctrl+Enter")}
              onClick={() => split(field()?.selectionStart ?? body.script.length)}
            >
              {t`Split here`}
            </button>
            {before && (
              <button type="button" onClick={merge}>
                {t`Join with scene ${number - 1}`}
              </button>
            )}
            <button
              type="button"
              onClick={() => {
                const next = newKey();
                edit(t`Add scene`, (doc) => addScene(doc, key, next));
                focusScript(next);
              }}
            >
              {t`Add scene`}
            </button>
          </span>
        </fieldset>
      )}
    </section>
  );
});

/** Marks the selection, or the word at or before the caret, with asterisks; a second time takes them away. */
export function emphasised(text: string, from: number, to: number): [text: string, caret: number] {
  let [start, end] = [from, to];
  if (start === end) {
    if (!/[\p{L}\p{N}]/u.test(text[end] ?? "")) while (end > 0 && !/[\p{L}\p{N}]/u.test(text[end - 1] ?? "")) end--;
    start = end;
    while (start > 0 && /[\p{L}\p{N}'’-]/u.test(text[start - 1] ?? "")) start--;
    while (end < text.length && /[\p{L}\p{N}'’-]/u.test(text[end] ?? "")) end++;
  }
  if (start === end) return [text, from];
  if (text[start - 1] === "*" && text[end] === "*")
    return [text.slice(0, start - 1) + text.slice(start, end) + text.slice(end + 1), end - 1];
  return [`${text.slice(0, start)}*${text.slice(start, end).trim()}*${text.slice(end)}`, end + 2];
}
