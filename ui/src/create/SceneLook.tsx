/** How the selected scene and the whole film look: mood, background, format, size, captions. */
import { msg, t } from "@lingui/core/macro";
import { useLingui } from "@lingui/react";
import { useQuery } from "@tanstack/react-query";
import { memo, useState } from "react";
import { type Asset, api, body, type Project } from "../api/client";
import { Select } from "../kit/Select";
import { usePrincipal } from "../shell/me";
import { type Box, type Format, formatOf } from "./boxes";
import { changeScene, type Doc, type SceneBody, type SceneDoc } from "./document";
import { MediaDialog } from "./MediaDialog";
import { MusicField } from "./MusicField";
import { PresenterButton } from "./PresenterPicker";
import { isSame } from "./script";
import type { Editor } from "./useEditor";

const MOODS = {
  neutral: msg`neutral`,
  warm: msg`warm`,
  serious: msg`serious`,
  excited: msg`excited`,
  sad: msg`sad`,
  surprised: msg`surprised`,
};
const SETS = { studio: msg`studio`, office: msg`office`, classroom: msg`classroom`, plain: msg`plain` };
const MEDIA = "media";
const BACKGROUNDS = { image: msg`image`, video: msg`video`, source: msg`source` };
const FORMATS = { "16:9": [16, 9], "9:16": [9, 16], "1:1": [1, 1] } as const;
const SIZES = [360, 720, 1080] as const;
const CAPTIONS = {
  soft: msg`To switch on`,
  burned: msg`In the picture`,
  both: msg`Both`,
  none: msg`None`,
};
const TRANSITIONS = {
  cut: msg`Cut`,
  dissolve: msg`Dissolve`,
  wipe: msg`Wipe`,
  slide: msg`Slide`,
  fade: msg`Through black`,
};
const FRAMINGS = {
  bust: msg`Head and shoulders`,
  close: msg({ message: "Close", context: "framing" }),
  half: msg`To the waist`,
  side_left: msg`At the left`,
  side_right: msg`At the right`,
  picture_in_picture: msg`In a corner`,
  voice_over: msg`Only heard`,
};
/** The framing in a corner is at the right; what is shown there needs another one. */
const LEFT_CORNER = "left_corner";
const LEFT_BOXES: Record<Format, Box> = {
  "16:9": { x: 0.05, y: 0.44, width: 0.22, height: 0.34 },
  "9:16": { x: 0.06, y: 0.56, width: 0.34, height: 0.22 },
  "1:1": { x: 0.06, y: 0.56, width: 0.34, height: 0.22 },
};
const PLACES = { bottom: msg`Bottom`, middle: msg`Middle`, top: msg`Top` };
const LETTERS = { 0.035: msg`Small`, 0.046: msg`Usual`, 0.06: msg`Large`, 0.08: msg`Very large` };
/** One of the codes of a table. */
const codeOf = <Code extends string>(table: Record<Code, unknown>, value: string): Code | undefined =>
  (Object.keys(table) as Code[]).find((one) => one === value);
const SPOKEN_COLOUR = "#ffc94d";
const COLOUR = "#1b2733";

type Canvas = Project["canvas"];

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
  const [choosing, setChoosing] = useState(false);
  const inCorner = {
    box: LEFT_BOXES[formatOf(editor.doc.canvas)],
    shape: "rounded",
    fit: "cover",
    visible: true,
    moves: body.layout?.moves ?? [],
  } as const;
  const isInCorner = !body.camera?.framing && isSame(body.layout, inCorner);
  const frame = (value: string) => {
    const camera = { push_in: 0, cuts: [], cut_at_sentences: false, ...body.camera, framing: codeOf(FRAMINGS, value) ?? null };
    const layout = value === LEFT_CORNER ? inCorner : isInCorner ? null : body.layout;
    change(t`Framing`, { camera, layout });
  };
  const chooseMedia = ({ kind, sha256, name, media_type }: Asset) => {
    const file = { sha256, name, media_type };
    const chosen =
      kind === "image" ? ({ kind, image: file, blur: 0 } as const) : ({ kind: "video", video: file, blur: 0 } as const);
    change(t`Background`, { background: chosen });
  };
  const choose = (value: string) => {
    if (value === MEDIA) return setChoosing(true);
    if (value === "") return change(t`Background`, { background: null });
    if (value === "colour") return change(t`Background`, { background: { kind: "colour", colour: COLOUR } });
    const name = codeOf(SETS, value);
    if (name) change(t`Background`, { background: { kind: "set", name, light: "neutral", accent: "#35b6c9", depth: 0.5 } });
  };
  return (
    <fieldset className="card look">
      <legend className="visually-hidden">{t`Look of scene ${number}`}</legend>
      <h2>{t`Scene ${number}`}</h2>
      <Select
        label={t`Mood`}
        value={body.mood ?? ""}
        onChange={(mood) => change(t`Mood`, { mood: mood || null })}
        none={t`Of the presenter`}
        of={MOODS}
      />
      <Select
        label={t`Background`}
        value={kind}
        onChange={choose}
        none={t`Of the presenter`}
        of={{
          ...SETS,
          colour: t`Colour`,
          ...((kind === "image" || kind === "video" || kind === "source") && { [kind]: BACKGROUNDS[kind] }),
          [MEDIA]: `${t`Picture or clip`}…`,
        }}
      />
      {choosing && <MediaDialog onChoose={chooseMedia} onClose={() => setChoosing(false)} />}
      {background?.kind === "colour" && (
        <label>
          {t`Colour`}
          <input
            type="color"
            value={background.colour.slice(0, 7)}
            onChange={(event) =>
              editor.edit(
                t`Colour`,
                (doc) => changeScene(doc, key, { background: { ...background, colour: event.target.value } }),
                `colour ${key}`,
              )
            }
          />
        </label>
      )}
      {body.speakers.length === 0 && (
        <Select
          label={t`Framing`}
          value={isInCorner ? LEFT_CORNER : (body.camera?.framing ?? "")}
          onChange={frame}
          none={t`Automatic`}
          of={{ ...FRAMINGS, [LEFT_CORNER]: t`In the left corner` }}
        />
      )}
      <Select
        label={t`Begins with`}
        value={body.transition?.kind ?? "cut"}
        onChange={(kind) =>
          change(t`Transition`, { transition: { duration_ms: 600, direction: "left", ...body.transition, kind } })
        }
        of={TRANSITIONS}
      />
    </fieldset>
  );
}

function BrandField({ brand, edit }: Pick<FilmProps, "brand" | "edit">) {
  const { permissions } = usePrincipal();
  const mayRead = permissions.includes("brand:read");
  const brands = useQuery({ queryKey: ["brands"], queryFn: () => body(api.GET("/api/brands")), enabled: mayRead });
  if (!brands.data?.length) return null;
  return (
    <Select
      label={t`Brand kit`}
      value={brand ?? ""}
      onChange={(chosen) => edit(t`Brand kit`, (doc) => ({ ...doc, brand: chosen || null }))}
      none={t`none`}
      of={brands.data.map((one) => [one.id, one.name])}
    />
  );
}

interface FilmProps extends Pick<Doc, "brand" | "canvas" | "music" | "output" | "persona"> {
  edit: Editor["edit"];
}

/** Drawn anew only when something of it has changed, and not with each key that is typed. */
export const FilmLook = memo(function FilmLook({ brand, canvas, music, output, persona, edit }: FilmProps) {
  // Another language draws it anew, too.
  useLingui();
  const format = formatOf(canvas);
  const size = Math.min(canvas.width, canvas.height);
  const captions = output.captions;
  const burned = captions.mode === "burned" || captions.mode === "both";
  const style = (name: string, values: Partial<typeof captions.style>, group = "") =>
    edit(
      name,
      (doc) => {
        const now = doc.output.captions;
        return { ...doc, output: { ...doc.output, captions: { ...now, style: { ...now.style, ...values } } } };
      },
      group,
    );
  return (
    <fieldset className="card look">
      <legend className="visually-hidden">{t`Look of the video`}</legend>
      <h2>{t`Video`}</h2>
      <div className="field">
        <span>{t`Presenter`}</span>
        <PresenterButton
          label={t`Presenter of the video`}
          value={persona}
          fallback={persona}
          onChange={(chosen) => edit(t`Presenter of the video`, (doc) => ({ ...doc, persona: chosen }))}
        />
      </div>
      <BrandField brand={brand} edit={edit} />
      <MusicField music={music ?? null} onChange={(chosen) => edit(t`Music`, (doc) => ({ ...doc, music: chosen }))} />
      <Select
        label={t`Format`}
        value={format}
        onChange={(chosen) => edit(t`Format`, (doc) => ({ ...doc, canvas: sized(doc.canvas, chosen, size) }))}
        of={{ "16:9": t`16:9 wide`, "9:16": t`9:16 upright`, "1:1": t`1:1 square` }}
      />
      <Select
        label={t`Size`}
        value={size}
        onChange={(chosen) => edit(t`Size`, (doc) => ({ ...doc, canvas: sized(doc.canvas, format, Number(chosen)) }))}
        of={[...new Set([...SIZES, size])].map((one) => [one, `${one}p`])}
      />
      <Select
        label={t`Captions`}
        value={captions.mode}
        onChange={(mode) =>
          edit(t`Captions`, (doc) => ({ ...doc, output: { ...doc.output, captions: { ...doc.output.captions, mode } } }))
        }
        of={CAPTIONS}
      />
      {burned && (
        <>
          <Select
            label={t`Caption position`}
            value={captions.style.place}
            onChange={(place) => style(t`Place of captions`, { place })}
            of={PLACES}
          />
          <Select
            label={t`Caption size`}
            value={captions.style.size}
            onChange={(chosen) => style(t`Size of captions`, { size: Number(chosen) })}
            of={LETTERS}
          >
            {!(captions.style.size in LETTERS) && <option value={captions.style.size}>{captions.style.size}</option>}
          </Select>
          <Select
            label={t`Highlight the spoken word`}
            value={captions.style.highlight ? "on" : ""}
            onChange={(chosen) => style(t`Spoken word`, { highlight: chosen ? SPOKEN_COLOUR : null })}
            none={t`No`}
            of={{ on: t`Yes` }}
          />
        </>
      )}
    </fieldset>
  );
});
