/** How the selected scene and the whole film look: mood, background, format, size, captions. */
import type { Project } from "../api/client";
import { changeScene, type SceneBody, type SceneDoc } from "./document";
import { PresenterButton } from "./PresenterPicker";
import type { Editor } from "./useEditor";

const MOODS = ["neutral", "warm", "serious", "excited", "sad", "surprised"] as const;
const SETS = ["studio", "office", "classroom", "plain"] as const;
const FORMATS = { "16:9": [16, 9], "9:16": [9, 16], "1:1": [1, 1] } as const;
const SIZES = [360, 720, 1080] as const;
const CAPTIONS = { soft: "To switch on", burned: "In the picture", both: "Both", none: "None" } as const;
const TRANSITIONS = { cut: "Cut", dissolve: "Dissolve", wipe: "Wipe", slide: "Slide", fade: "Through black" } as const;
const FRAMINGS = {
  bust: "Head and shoulders",
  close: "Close",
  half: "To the waist",
  side_left: "At the left",
  side_right: "At the right",
  picture_in_picture: "In a corner",
  voice_over: "Only heard",
} as const;
const PLACES = { bottom: "Bottom", middle: "Middle", top: "Top" } as const;
const LETTERS = { 0.035: "Small", 0.046: "Usual", 0.06: "Large", 0.08: "Very large" } as const;
const SPOKEN_COLOUR = "#ffc94d";
const COLOUR = "#1b2733";

type Canvas = Project["canvas"];

export function formatOf(canvas: Canvas): keyof typeof FORMATS {
  if (canvas.width === canvas.height) return "1:1";
  return canvas.width > canvas.height ? "16:9" : "9:16";
}

/** The shorter side is `size`; both are even. */
function sized(canvas: Canvas, format: keyof typeof FORMATS, size: number): Canvas {
  const [wide, high] = FORMATS[format];
  const unit = size / Math.min(wide, high);
  return { ...canvas, width: Math.round((wide * unit) / 2) * 2, height: Math.round((high * unit) / 2) * 2 };
}

export function SceneLook({ scene, number, editor }: { scene: SceneDoc; number: number; editor: Editor }) {
  const { body, key } = scene;
  const change = (name: string, values: Partial<SceneBody>) => editor.edit(name, (doc) => changeScene(doc, key, values));
  const background = body.background;
  const kind = background?.kind === "set" ? background.name : (background?.kind ?? "");
  const choose = (value: string) => {
    if (value === "") return change("Background", { background: null });
    if (value === "colour") return change("Background", { background: { kind: "colour", colour: COLOUR } });
    const name = SETS.find((one) => one === value);
    if (name) change("Background", { background: { kind: "set", name, light: "neutral", accent: "#35b6c9", depth: 0.5 } });
  };
  return (
    <fieldset className="card look">
      <legend className="visually-hidden">Look of scene {number}</legend>
      <h2>Scene {number}</h2>
      <label>
        Mood
        <select
          value={body.mood ?? ""}
          onChange={(event) => change("Mood", { mood: MOODS.find((one) => one === event.target.value) ?? null })}
        >
          <option value="">Of the presenter</option>
          {MOODS.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      </label>
      <label>
        Background
        <select value={kind} onChange={(event) => choose(event.target.value)}>
          <option value="">Of the presenter</option>
          {SETS.map((one) => (
            <option key={one}>{one}</option>
          ))}
          <option value="colour">Colour</option>
          {(kind === "image" || kind === "video" || kind === "source") && <option value={kind}>{kind}</option>}
        </select>
      </label>
      {background?.kind === "colour" && (
        <label>
          Colour
          <input
            type="color"
            value={background.colour.slice(0, 7)}
            onChange={(event) =>
              editor.edit(
                "Colour",
                (doc) => changeScene(doc, key, { background: { ...background, colour: event.target.value } }),
                `colour ${key}`,
              )
            }
          />
        </label>
      )}
      <label>
        Framing
        <select
          value={body.camera?.framing ?? ""}
          onChange={(event) => {
            const framing =
              (Object.keys(FRAMINGS) as (keyof typeof FRAMINGS)[]).find((one) => one === event.target.value) ?? null;
            change("Framing", { camera: { push_in: 0, cuts: [], cut_at_sentences: false, ...body.camera, framing } });
          }}
        >
          <option value="">As laid out</option>
          {Object.entries(FRAMINGS).map(([framing, words]) => (
            <option key={framing} value={framing}>
              {words}
            </option>
          ))}
        </select>
      </label>
      <label>
        Begins with
        <select
          value={body.transition?.kind ?? "cut"}
          onChange={(event) => {
            const kind = event.target.value as keyof typeof TRANSITIONS;
            change("Transition", { transition: { duration_ms: 600, direction: "left", ...body.transition, kind } });
          }}
        >
          {Object.entries(TRANSITIONS).map(([kind, words]) => (
            <option key={kind} value={kind}>
              {words}
            </option>
          ))}
        </select>
      </label>
    </fieldset>
  );
}

export function FilmLook({ editor }: { editor: Editor }) {
  const { canvas, output, persona } = editor.doc;
  const format = formatOf(canvas);
  const size = Math.min(canvas.width, canvas.height);
  const captions = output.captions;
  const burned = captions.mode === "burned" || captions.mode === "both";
  const style = (name: string, values: Partial<typeof captions.style>, group = "") =>
    editor.edit(
      name,
      (doc) => {
        const now = doc.output.captions;
        return { ...doc, output: { ...doc.output, captions: { ...now, style: { ...now.style, ...values } } } };
      },
      group,
    );
  return (
    <fieldset className="card look">
      <legend className="visually-hidden">Look of the film</legend>
      <h2>Film</h2>
      <div className="field">
        <span>Presenter</span>
        <PresenterButton
          label="Presenter of the film"
          value={persona}
          fallback={persona}
          onChange={(chosen) => editor.edit("Presenter of the film", (doc) => ({ ...doc, persona: chosen }))}
        />
      </div>
      <label>
        Format
        <select
          value={format}
          onChange={(event) =>
            editor.edit("Format", (doc) => ({
              ...doc,
              canvas: sized(doc.canvas, event.target.value as keyof typeof FORMATS, size),
            }))
          }
        >
          <option value="16:9">16:9 wide</option>
          <option value="9:16">9:16 upright</option>
          <option value="1:1">1:1 square</option>
        </select>
      </label>
      <label>
        Size
        <select
          value={size}
          onChange={(event) =>
            editor.edit("Size", (doc) => ({ ...doc, canvas: sized(doc.canvas, format, Number(event.target.value)) }))
          }
        >
          {[...new Set([...SIZES, size])].map((one) => (
            <option key={one} value={one}>
              {one}p
            </option>
          ))}
        </select>
      </label>
      <label>
        Captions
        <select
          value={captions.mode}
          onChange={(event) =>
            editor.edit("Captions", (doc) => ({
              ...doc,
              output: { ...doc.output, captions: { ...doc.output.captions, mode: event.target.value as keyof typeof CAPTIONS } },
            }))
          }
        >
          {Object.entries(CAPTIONS).map(([mode, words]) => (
            <option key={mode} value={mode}>
              {words}
            </option>
          ))}
        </select>
      </label>
      {burned && (
        <>
          <label>
            Captions stand
            <select
              value={captions.style.place}
              onChange={(event) => style("Place of captions", { place: event.target.value as keyof typeof PLACES })}
            >
              {Object.entries(PLACES).map(([place, words]) => (
                <option key={place} value={place}>
                  {words}
                </option>
              ))}
            </select>
          </label>
          <label>
            Letters
            <select
              value={captions.style.size}
              onChange={(event) => style("Size of captions", { size: Number(event.target.value) })}
            >
              {!(captions.style.size in LETTERS) && <option value={captions.style.size}>{captions.style.size}</option>}
              {Object.entries(LETTERS).map(([value, words]) => (
                <option key={value} value={value}>
                  {words}
                </option>
              ))}
            </select>
          </label>
          <label>
            Spoken word
            <select
              value={captions.style.highlight ? "on" : ""}
              onChange={(event) => style("Spoken word", { highlight: event.target.value ? SPOKEN_COLOUR : null })}
            >
              <option value="">Like the others</option>
              <option value="on">Stands out</option>
            </select>
          </label>
        </>
      )}
    </fieldset>
  );
}
