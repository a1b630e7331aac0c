/** Where the speakers of a scene are, how they feel, and when they go elsewhere. */
import { i18n } from "@lingui/core";
import { msg, t } from "@lingui/core/macro";
import type { PersonaEntry } from "../api/client";
import { Select } from "../kit/Select";
import { anchorAt, type Move } from "./anchors";
import type { Box } from "./boxes";
import { changeScene, type SceneBody, type SceneDoc } from "./document";
import { castOf } from "./marks";
import { Moment } from "./OnScreen";
import { isSame, spokenWords, wordAt } from "./script";
import type { Editor } from "./useEditor";
import { usePresenterNames } from "./usePersonas";

type Layout = NonNullable<SceneBody["layout"]>;

const WHOLE: Box = { x: 0, y: 0, width: 1, height: 1 };
const PLACES: Record<string, Box> = {
  whole: WHOLE,
  left: { x: 0, y: 0, width: 0.5, height: 1 },
  right: { x: 0.5, y: 0, width: 0.5, height: 1 },
  left_third: { x: 0, y: 0, width: 0.34, height: 1 },
  right_third: { x: 0.66, y: 0, width: 0.34, height: 1 },
  left_corner: { x: 0.05, y: 0.44, width: 0.22, height: 0.34 },
  right_corner: { x: 0.73, y: 0.44, width: 0.22, height: 0.34 },
};
const NAMES = {
  whole: msg`The whole picture`,
  left: msg`Left half`,
  right: msg`Right half`,
  left_third: msg`At the left edge`,
  right_third: msg`At the right edge`,
  left_corner: msg`In the left corner`,
  right_corner: msg`In the right corner`,
};
const PLAIN: Layout = { box: WHOLE, shape: "rectangle", fit: "cover", visible: true, moves: [] };
const MOVE_MS = 600;
const CUSTOM = "custom";

const placeName = (box: Box) => Object.keys(PLACES).find((one) => isSame(PLACES[one], box)) ?? CUSTOM;

interface Props {
  scene: SceneDoc;
  number: number;
  editor: Editor;
}

/** Every speaker of the scene, the presenter first, with a change of their layout. */
export function speakersOf({ key, body }: SceneDoc, editor: Editor) {
  return castOf(body, editor.doc.persona).map((one, at) => ({
    ...one,
    setLayout: (what: string, layout: Layout, group = "") =>
      editor.edit(
        what,
        (doc) =>
          changeScene(
            doc,
            key,
            at === 0
              ? { layout }
              : { speakers: body.speakers.map((other, place) => (place === at - 1 ? { ...other, layout } : other)) },
          ),
        group && `${group} ${key} ${one.name}`,
      ),
  }));
}

/** Where each presenter that is seen stands, as the renderer shares the picture (avatar/compose/seats.py). */
export function presenterFrames(scene: SceneDoc, editor: Editor, personas: readonly PersonaEntry[] | undefined) {
  const framing = scene.body.camera?.framing;
  const isShared = scene.body.speakers.length > 0;
  // A framing alone says where the presenter is.
  if (framing && (!isShared || framing === "voice_over")) return [];
  const all = speakersOf(scene, editor).map((one) => {
    const persona = personas?.find((entry) => entry.id === one.persona)?.persona;
    const layout = one.layout ?? (persona?.style.layout as Layout | undefined) ?? PLAIN;
    return { ...one, layout, title: persona?.name ?? one.persona };
  });
  const seen = all.filter(({ layout }) => layout.visible);
  const sharing = isShared ? seen.filter(({ layout }) => isSame(layout.box, WHOLE)) : [];
  const share = 1 / Math.max(1, sharing.length);
  const isUpright = editor.doc.canvas.height > editor.doc.canvas.width;
  return seen.map((one) => {
    const at = sharing.length > 1 ? sharing.indexOf(one) : -1;
    const own = isUpright ? { x: 0, y: at * share, width: 1, height: share } : { x: at * share, y: 0, width: share, height: 1 };
    return { ...one, box: at < 0 ? one.layout.box : own };
  });
}

export function SpeakerPlaces({ scene, number, editor }: Props) {
  const nameOf = usePresenterNames();
  const words = spokenWords(scene.body.script);
  const isShared = scene.body.speakers.length > 0;
  return (
    <section className="card stack speaker-places" aria-label={t`Presenters in scene ${number}`}>
      <h2>{t`Presenters in scene ${number}`}</h2>
      {speakersOf(scene, editor).map(({ name, persona, layout, setLayout }) => {
        const shown = nameOf(persona);
        const place = layout ?? PLAIN;
        const change = (what: string, values: Partial<Layout>) => setLayout(what, { ...place, ...values });
        const setMove = (at: number, move: Partial<Move>) =>
          change(t`Move`, { moves: place.moves.map((one, other) => (other === at ? { ...one, ...move } : one)) });
        return (
          <fieldset key={name} className="stack">
            <legend>{shown}</legend>
            {isShared && (
              <PlaceChoice
                label={t`Place of ${shown}`}
                box={place.box}
                whole={t`Shared evenly`}
                onChange={(box) => change(t`Place`, { box })}
              />
            )}
            {place.moves.map((move, at) => (
              <div key={at} className="row move">
                <Moment
                  label={t`Move ${at + 1} of ${shown} begins at`}
                  name={t`At`}
                  anchor={move.at}
                  words={words}
                  edge="start"
                  always={t`the start`}
                  onChange={(anchor) => setMove(at, { at: anchor ?? { at: "time", ms: 0 } })}
                />
                <PlaceChoice
                  label={t`Move ${at + 1} of ${shown} goes to`}
                  box={move.box}
                  whole={i18n.t(NAMES.whole)}
                  onChange={(box) => setMove(at, { box })}
                />
                <button
                  type="button"
                  className="plain"
                  aria-label={t`Remove move ${at + 1} of ${shown}`}
                  onClick={() => change(t`Remove a move`, { moves: place.moves.filter((_, other) => other !== at) })}
                >
                  ×
                </button>
              </div>
            ))}
            <div>
              <button
                type="button"
                aria-label={t`Add a move of ${shown}`}
                onClick={() =>
                  change(t`Add a move`, {
                    moves: [...place.moves, { at: anchorAtCaret(scene, words), box: PLACES.right_corner as Box, ms: MOVE_MS }],
                  })
                }
              >
                {t`Add a move`}
              </button>
            </div>
          </fieldset>
        );
      })}
    </section>
  );
}

/** The word at the caret of the scene's script; the start before that. */
function anchorAtCaret({ key, body }: SceneDoc, words: readonly string[]): Move["at"] {
  const field = document.getElementById(`script-${key}`) as HTMLTextAreaElement | null;
  const place = Math.min(wordAt(body.script, field?.selectionStart ?? 0), words.length - 1);
  return place > 0 ? anchorAt(words, place) : { at: "time", ms: 0 };
}

function PlaceChoice(props: { label: string; box: Box; whole: string; onChange: (box: Box) => void }) {
  const value = placeName(props.box);
  return (
    <Select
      bare
      label={props.label}
      value={value}
      onChange={(chosen) => PLACES[chosen] && props.onChange(PLACES[chosen])}
      of={{ ...NAMES, whole: props.whole }}
    >
      {value === CUSTOM && <option value={CUSTOM}>{t`As it was dragged`}</option>}
    </Select>
  );
}
