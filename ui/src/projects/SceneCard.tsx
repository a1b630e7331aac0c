/** One scene of a project: who speaks, what is said, and in which mood. */
import { useId, useRef } from "react";
import type { Scene, SceneChange } from "../api/client";
import { speakingTime } from "./formats";
import { type Saving, useAutosave } from "./useAutosave";
import type { Presenter, ProjectCalls } from "./useProject";

const MOODS = ["neutral", "warm", "serious", "excited", "sad", "surprised"] as const;
const MARKS: [label: string, before: string, after: string][] = [
  ["Pause", "[pause] ", ""],
  ["Emphasis", "*", "*"],
  ["Wave", "[gesture wave] ", ""],
  ["Point", "[gesture point-left] ", ""],
];
const SAVING: Record<Saving, string> = {
  saved: "Saved",
  unsaved: "Not saved yet",
  saving: "Saving",
  failed: "Not saved: the server does not answer. It is tried again.",
  conflict: "",
};

const versionOf = (scene: Scene) => ({ text: scene.script, at: scene.updated_at });

interface Props {
  scene: Scene;
  number: number;
  count: number;
  presenters: Presenter[];
  /** The presenter of scenes that name none. */
  standard: string;
  calls: ProjectCalls;
  mayChange: boolean;
  onChange: (name: string, fields: SceneChange, before: SceneChange) => void;
  onMove: (by: -1 | 1) => void;
  onSplit: (at: number, script: string) => void;
  onMerge: () => void;
  onDelete: () => void;
}

export function SceneCard(props: Props) {
  const { scene, number, count, presenters, standard, calls, mayChange } = props;
  const heading = useId();
  const field = useRef<HTMLTextAreaElement>(null);
  const script = useAutosave(
    `soundstage.script.${scene.id}`,
    versionOf(scene),
    async () => versionOf(await calls.readScene(scene.id)),
    async (text) => versionOf(await calls.changeScene(scene.id, { script: text })),
  );
  const speaker = presenters.find((one) => one.id === (scene.persona ?? standard));
  const seconds = speakingTime(script.text);
  const about = `scene ${number}`;

  const mark = (before: string, after: string) => {
    const area = field.current;
    if (!area) return;
    const { selectionStart: from, selectionEnd: to, value } = area;
    area.focus();
    area.setSelectionRange(from, to);
    // As typed: the field's own undo takes it back.
    document.execCommand("insertText", false, before + value.slice(from, to) + after);
  };

  return (
    <li className="card scene" aria-labelledby={heading}>
      <div className="row apart">
        <h2 id={heading}>
          Scene {number}
          {seconds > 0 && <span className="quiet"> about {Math.max(1, Math.round(seconds))} s</span>}
        </h2>
        {mayChange && (
          <div className="row scene-acts">
            <button
              type="button"
              className="plain"
              aria-label={`Move ${about} up`}
              disabled={number === 1}
              onClick={() => props.onMove(-1)}
            >
              ↑
            </button>
            <button
              type="button"
              className="plain"
              aria-label={`Move ${about} down`}
              disabled={number === count}
              onClick={() => props.onMove(1)}
            >
              ↓
            </button>
            <button
              type="button"
              className="plain"
              aria-label={`Split ${about} at the cursor`}
              onClick={() => void script.flush().then(() => props.onSplit(field.current?.selectionStart ?? 0, script.text))}
            >
              Split
            </button>
            <button
              type="button"
              className="plain"
              aria-label={`Join ${about} with the next`}
              disabled={number === count}
              onClick={() => void script.flush().then(props.onMerge)}
            >
              Join
            </button>
            <button
              type="button"
              className="plain"
              aria-label={`Delete ${about}`}
              onClick={() => void script.flush().then(props.onDelete)}
            >
              Delete
            </button>
          </div>
        )}
      </div>
      <div className="scene-body">
        <div className="speaker">
          {speaker?.picture ? <img src={speaker.picture} alt="" width="96" height="96" /> : <span className="no-face" />}
          <select
            aria-label={`Presenter of ${about}`}
            value={scene.persona ?? ""}
            disabled={!mayChange}
            onChange={(event) =>
              props.onChange(`presenter of ${about}`, { persona: event.target.value || null }, { persona: scene.persona ?? null })
            }
          >
            <option value="">As the project</option>
            {presenters.map((one) => (
              <option key={one.id} value={one.id}>
                {one.name}
              </option>
            ))}
          </select>
          <select
            aria-label={`Mood of ${about}`}
            value={scene.mood ?? ""}
            disabled={!mayChange}
            onChange={(event) =>
              props.onChange(
                `mood of ${about}`,
                { mood: (event.target.value || null) as Scene["mood"] },
                { mood: scene.mood ?? null },
              )
            }
          >
            <option value="">Usual mood</option>
            {MOODS.map((one) => (
              <option key={one} value={one}>
                {one[0]?.toUpperCase() + one.slice(1)}
              </option>
            ))}
          </select>
        </div>
        <div className="scene-words">
          <textarea
            ref={field}
            aria-label={`Script of ${about}`}
            placeholder="What should be said?"
            value={script.text}
            readOnly={!mayChange}
            maxLength={100_000}
            onChange={(event) => script.write(event.target.value)}
            onBlur={() => void script.flush()}
          />
          <div className="row apart">
            {mayChange && (
              <div className="row marks">
                {MARKS.map(([label, before, after]) => (
                  <button
                    key={label}
                    type="button"
                    className="chip"
                    onMouseDown={(event) => event.preventDefault()}
                    onClick={() => mark(before, after)}
                  >
                    {label}
                  </button>
                ))}
              </div>
            )}
            <span className="quiet" role="status">
              {SAVING[script.state]}
            </span>
          </div>
          {script.theirs !== undefined && (
            <div className="problem" role="alert">
              <strong>This text was changed elsewhere.</strong>
              <p className="theirs">{script.theirs}</p>
              <div className="row">
                <button type="button" onClick={() => script.resolve(script.text)}>
                  Keep mine
                </button>
                <button type="button" onClick={() => script.resolve(script.theirs ?? "")}>
                  Take the other
                </button>
              </div>
            </div>
          )}
        </div>
      </div>
    </li>
  );
}
