/** What lies over the picture of a scene: titles, names, lists and texts, each from one word of the script to another. */
import { i18n } from "@lingui/core";
import { msg, t } from "@lingui/core/macro";
import { useState } from "react";
import { Button, Menu, MenuItem, MenuTrigger, Popover } from "react-aria-components";
import type { Asset } from "../api/client";
import { ArrowOverlay, ListItem, ListOverlay, LowerThirdOverlay, TextOverlay, TitleOverlay } from "../api/limits";
import { Field } from "../kit/Field";
import { isRequired, type Limit, listFault } from "../kit/rules";
import { Select } from "../kit/Select";
import { type Anchor, anchorAt, type Overlay, placeOf } from "./anchors";
import { boxOf, type Format, safeArea } from "./boxes";
import { changeScene, type SceneDoc } from "./document";
import { MediaDialog, Thumbnail } from "./MediaDialog";
import { PlaceFields } from "./PlaceFields";
import { MAX_POINTS } from "./save";
import { isSame, spokenWords, wordAt } from "./script";
import { useAssets } from "./useAssets";
import type { Editor } from "./useEditor";
import "../kit/overlays.css";

const KINDS = {
  title: msg`Title`,
  lower_third: msg`Name and role`,
  list: msg`List`,
  text: msg`Text`,
  arrow: msg`Arrow`,
  highlight: msg`Frame`,
};
type Kind = keyof typeof KINDS;
const MEDIA_KINDS = { image: msg`Picture`, video: msg`Video` };
const MEDIA = "media";
/** The usual place of a title is the middle: there is the face. Captions stand below it. */
const BELOW_FACE = { x: 0.06, y: 0.62, width: 0.88, height: 0.26 };
const ABOVE_FACE = { x: 0.06, y: 0.05, width: 0.88, height: 0.26 };
const SAFE = { x: 0.06, y: 0.1, width: 0.4, height: 0.25 };
const AROUND_FACE = { x: 0.34, y: 0.14, width: 0.32, height: 0.5 };
const DIM = 0.45;
const BOXES = {
  right: { x: 0.55, y: 0.12, width: 0.4, height: 0.62 },
  left: { x: 0.05, y: 0.12, width: 0.4, height: 0.62 },
  corner: { x: 0.69, y: 0.06, width: 0.26, height: 0.28 },
  whole: { x: 0, y: 0, width: 1, height: 1 },
};
const PLACES = {
  right: msg`At the right`,
  left: msg`At the left`,
  corner: msg`In a corner`,
  whole: msg`Over the whole picture`,
};
type Place = keyof typeof BOXES;
const SOUND_DB = -12;
const TIMES = { fade_ms: 200, opacity: 1, z: 0 };
const BOXED = { ...TIMES, rotation_deg: 0 };
const INK = { colour: "#ffffff", accent: "#35b6c9" };

/** What lies there already: captions in the lower part, and the presenter on one side. */
interface Taken {
  isBelow: boolean;
  framing: string | null | undefined;
  format: Format;
}

function created(kind: Kind, text: string, start: Anchor, { isBelow, framing, format }: Taken): Overlay {
  const base = { ...BOXED, start };
  // In the generated types this kind is called “TitleOverlay”.
  if (kind === "title")
    return {
      ...base,
      ...INK,
      kind,
      box: isBelow ? ABOVE_FACE : BELOW_FACE,
      title: text || t`Title`,
      subtitle: "",
      align: "centre",
    } as unknown as Overlay;
  if (kind === "lower_third")
    return {
      ...base,
      ...INK,
      kind,
      name: text || t`Name`,
      role: "",
      side: framing === "side_left" ? "right" : "left",
      background: "#10202ce6",
    };
  if (kind === "list") {
    const items = [{ text: text || t`First point` }];
    const list: Overlay = { ...base, ...INK, kind, heading: "", items, marker: "dot", background: "#10202cd9" };
    const usual = boxOf(list, format);
    if (framing !== "side_right" || format !== "16:9" || !usual) return list;
    return { ...list, box: { ...usual, x: safeArea(format).x } };
  }
  if (kind === "arrow") {
    const points = { tail: { x: 0.2, y: 0.75 }, head: { x: 0.4, y: 0.5 } };
    return { ...TIMES, start, ...INK, ...points, kind, bend: 0.18, label: text, width: 0.007 };
  }
  if (kind === "highlight")
    return { ...base, kind, box: AROUND_FACE, shape: "rectangle", accent: "#ffc94d", width: 0.006, dim: DIM };
  const look = { colour: "#ffffff", background: "#000000b0", weight: "bold", align: "left", size: 0.08 } as const;
  return { ...base, ...look, kind, text: text || t`Text`, box: SAFE } as Overlay;
}

function createdMedia({ kind, sha256, name, media_type }: Asset, start: Anchor): Overlay {
  const file = { sha256, name, media_type };
  const base = { ...BOXED, start, box: BOXES.right, fit: "contain", corner_radius: 0 } as const;
  if (kind === "image") return { ...base, kind: "image", image: file };
  return { ...base, kind: "video", video: file, from_ms: 0, loop: false, gain_db: null };
}

/** What the list and the picture do with the overlays of a scene. */
export function overlayEdits(editor: Editor, { key, body }: SceneDoc) {
  const { overlays } = body;
  const change = (name: string, changed: Overlay[], group = "") =>
    editor.edit(name, (doc) => changeScene(doc, key, { overlays: changed }), group && `${group} ${key}`);
  return {
    change,
    replace: (name: string, at: number, overlay: Overlay, group = "") =>
      change(name, overlays.with(at, overlay), group && `${group} ${at}`),
    remove: (at: number) => {
      const gone = overlays[at];
      if (gone) change(`${t`Remove`}: ${nameOf(gone)}`, overlays.toSpliced(at, 1));
    },
  };
}

/** Leads there from the script; by Tab alone one comes through the next scene, which is selected then. */
export const focusOnScreen = () => document.getElementById(ADD_BUTTON)?.focus();
const ADD_BUTTON = "add-on-screen";

interface Props {
  scene: SceneDoc;
  number: number;
  editor: Editor;
  format: Format;
  selected: number | null;
  onSelect: (at: number | null) => void;
}

export function OnScreen({ scene, number, editor, format, selected, onSelect }: Props) {
  const { key, body } = scene;
  const words = spokenWords(body.script);
  const { change, replace, remove } = overlayEdits(editor, scene);
  const [mediaStart, setMediaStart] = useState<Anchor | null>(null);
  const caret = () => {
    const field = document.getElementById(`script-${key}`) as HTMLTextAreaElement | null;
    const [from, to] = [field?.selectionStart ?? 0, field?.selectionEnd ?? 0];
    const selected = body.script.slice(from, to);
    // Of selected words the first; behind the last word it is that one.
    const at = from + (selected.trim() ? selected.search(/\S/) : 0);
    const place = Math.min(wordAt(body.script, at), words.length - 1);
    const chosen = spokenWords(selected).join(" ");
    const start: Anchor = from > 0 && place >= 0 ? anchorAt(words, place) : { at: "time", ms: 0 };
    return { start, chosen };
  };
  const { mode, style } = editor.doc.output.captions;
  // Players show captions that are switched on in the lower part.
  const isBelow = mode !== "none" && (mode !== "burned" || style.place === "bottom");
  const taken = { isBelow, framing: body.camera?.framing, format };
  const add = (kind: Kind | typeof MEDIA) => {
    const { start, chosen } = caret();
    if (kind === MEDIA) setMediaStart(start);
    else change(`${t`Add`}: ${i18n.t(KINDS[kind])}`, [...body.overlays, created(kind, chosen, start, taken)]);
  };
  return (
    <section className="card on-screen stack" aria-label={t`On screen in scene ${number}`}>
      <div className="row apart">
        <h2>{t`On screen in scene ${number}`}</h2>
        <MenuTrigger>
          <Button className="button" id={ADD_BUTTON}>
            {t`Add`} ▾
          </Button>
          <Popover className="popover" placement="bottom end">
            <Menu className="menu" aria-label={t`Add to the picture`} onAction={(kind) => add(kind as Kind | typeof MEDIA)}>
              {Object.entries(KINDS).map(([kind, name]) => (
                <MenuItem key={kind} id={kind}>
                  {i18n.t(name)}
                </MenuItem>
              ))}
              <MenuItem id={MEDIA}>{t`Picture or clip`}</MenuItem>
            </Menu>
          </Popover>
        </MenuTrigger>
      </div>
      {mediaStart && (
        <MediaDialog
          onChoose={(asset) => change(t`Add picture or clip`, [...body.overlays, createdMedia(asset, mediaStart)])}
          onClose={() => setMediaStart(null)}
        />
      )}
      {body.overlays.length === 0 && (
        <p className="quiet">{t`Nothing yet. Put the caret at a word, or select words, and add a title, a name, a list, a text or a picture there.`}</p>
      )}
      <ul className="stack">
        {body.overlays.map((one, at) => (
          <Row
            key={at}
            overlay={one}
            words={words}
            label={layerName(one, at)}
            format={format}
            selected={at === selected}
            onSelect={() => onSelect(at)}
            onChange={(changed, group) => replace(t`On screen`, at, changed, group)}
            onRemove={() => {
              onSelect(null);
              remove(at);
            }}
          />
        ))}
      </ul>
    </section>
  );
}

const nameOf = (one: Overlay) => i18n.t({ ...KINDS, ...MEDIA_KINDS }[one.kind as Kind]);

/** What an overlay is called in the list and on the picture. */
export const layerName = (one: Overlay, at: number) => `${nameOf(one)} ${at + 1}`;

interface RowProps {
  overlay: Overlay;
  words: readonly string[];
  label: string;
  format: Format;
  selected: boolean;
  onSelect: () => void;
  onChange: (overlay: Overlay, group?: string) => void;
  onRemove: () => void;
}

function Row({ overlay, words, label, format, selected, onSelect, onChange, onRemove }: RowProps) {
  return (
    // Not on focus: the picture, which comes then, would move the row away from the press.
    <li className={selected ? "stack layer selected" : "stack layer"} onClick={onSelect} onKeyUp={onSelect}>
      <div className="row apart">
        <strong>{nameOf(overlay)}</strong>
        <button type="button" className="plain" onClick={onRemove}>
          {t`Remove`}
          <span className="visually-hidden"> {label}</span>
        </button>
      </div>
      <Texts overlay={overlay} label={label} onChange={onChange} />
      {(overlay.kind === "image" || overlay.kind === "video") && <Media overlay={overlay} label={label} onChange={onChange} />}
      <div className="row times">
        <Moment
          label={t`${label} appears`}
          name={t`From`}
          anchor={overlay.start}
          words={words}
          edge="start"
          always={t`the start`}
          onChange={(start) => onChange({ ...overlay, start: start ?? { at: "time", ms: 0 } })}
        />
        <Moment
          label={t`${label} goes`}
          name={t`To`}
          anchor={overlay.end ?? null}
          words={words}
          edge="end"
          always={t`the end of the scene`}
          onChange={(end) => onChange({ ...overlay, end })}
        />
      </div>
      {overlay.kind === "list" && <PointTimes overlay={overlay} label={label} words={words} onChange={onChange} />}
      <PlaceFields overlay={overlay} label={label} format={format} onChange={onChange} />
    </li>
  );
}

interface PointProps {
  overlay: Extract<Overlay, { kind: "list" }>;
  label: string;
  words: readonly string[];
  onChange: (overlay: Overlay) => void;
}

/** The word that each point of a list comes with. */
function PointTimes({ overlay, label, words, onChange }: PointProps) {
  return (
    <details>
      <summary>{t`When each point comes`}</summary>
      <div className="points">
        {overlay.items.map((item, at) => (
          <Moment
            key={at}
            label={t`${label}: point ${at + 1} comes`}
            name={`${at + 1} · ${item.text}`}
            anchor={item.at ?? null}
            words={words}
            edge="start"
            always={t`evenly spread`}
            onChange={(anchor) => onChange({ ...overlay, items: overlay.items.with(at, { ...item, at: anchor }) })}
          />
        ))}
      </div>
    </details>
  );
}

function Texts({ overlay, label, onChange }: Pick<RowProps, "overlay" | "label" | "onChange">) {
  const field = (name: string, limit: Limit, value: string, write: (value: string) => Overlay) => (
    <Field
      bare
      of={{ text: limit }}
      name="text"
      label={`${label}: ${name}`}
      placeholder={name}
      value={value}
      onChange={(text) => (text || !isRequired(limit)) && onChange(write(text), `text ${name}`)}
    />
  );
  if ("title" in overlay)
    return (
      <>
        {field(t`title`, TitleOverlay.title, overlay.title, (title) => ({ ...overlay, title }))}
        {field(t`second line`, TitleOverlay.subtitle, overlay.subtitle, (subtitle) => ({ ...overlay, subtitle }))}
      </>
    );
  if (overlay.kind === "lower_third")
    return (
      <>
        {field(t`name`, LowerThirdOverlay.name, overlay.name, (name) => ({ ...overlay, name }))}
        {field(t`role`, LowerThirdOverlay.role, overlay.role, (role) => ({ ...overlay, role }))}
      </>
    );
  if (overlay.kind === "arrow")
    return field(t`label`, ArrowOverlay.label, overlay.label, (text) => ({ ...overlay, label: text }));
  if (overlay.kind === "highlight") return <FrameLook overlay={overlay} label={label} onChange={onChange} />;
  if (overlay.kind === "text") return field(t`text`, TextOverlay.text, overlay.text, (text) => ({ ...overlay, text }));
  if (overlay.kind === "list") {
    const points = overlay.items.map((item) => item.text);
    return (
      <>
        {field(t`heading`, ListOverlay.heading, overlay.heading, (heading) => ({ ...overlay, heading }))}
        <Field
          bare
          of={ListOverlay}
          name="items"
          fault={listFault(points.filter(Boolean), { ...ListOverlay.items, items: ListItem.text })}
          label={t`${label}: points, one a line`}
          rows={Math.min(MAX_POINTS, points.length + 1)}
          value={points.join("\n")}
          onChange={(typed) => {
            const items = typed.split("\n").map((text, at) => ({ ...overlay.items[at], text }));
            onChange({ ...overlay, items }, "text points");
          }}
        />
      </>
    );
  }
  return null;
}

interface FrameProps {
  overlay: Extract<Overlay, { kind: "highlight" }>;
  label: string;
  onChange: (overlay: Overlay) => void;
}

function FrameLook({ overlay, label, onChange }: FrameProps) {
  return (
    <>
      <Select
        bare
        label={t`${label}: shape`}
        value={overlay.shape}
        onChange={(shape) => onChange({ ...overlay, shape })}
        of={{ rectangle: t`Rectangle`, ellipse: t`Ellipse` }}
      />
      <label className="row">
        <input
          type="checkbox"
          checked={overlay.dim > 0}
          onChange={(event) => onChange({ ...overlay, dim: event.target.checked ? DIM : 0 })}
        />
        {t`Darken the rest`}
      </label>
    </>
  );
}

interface MediaProps {
  overlay: Extract<Overlay, { kind: "image" | "video" }>;
  label: string;
  onChange: (overlay: Overlay) => void;
}

function Media({ overlay, label, onChange }: MediaProps) {
  const assets = useAssets(["image", "video"]);
  const file = overlay.kind === "image" ? overlay.image : overlay.video;
  const place = (Object.keys(BOXES) as Place[]).find((one) => isSame(BOXES[one], overlay.box));
  return (
    <>
      <div className="row">
        <Thumbnail asset={assets.data?.find((one) => one.sha256 === file.sha256)} />
        <span className="name">{file.name}</span>
      </div>
      <Select
        bare
        label={t`${label}: place`}
        value={place ?? ""}
        onChange={(chosen) => onChange({ ...overlay, box: BOXES[chosen], fit: chosen === "whole" ? "cover" : "contain" })}
        of={PLACES}
      >
        {!place && <option value="">{t`as it is`}</option>}
      </Select>
      {overlay.kind === "video" && (
        <label className="row">
          <input
            type="checkbox"
            checked={overlay.gain_db != null}
            onChange={(event) => onChange({ ...overlay, gain_db: event.target.checked ? SOUND_DB : null })}
          />
          {t`With its sound, under the voice`}
        </label>
      )}
    </>
  );
}

interface MomentProps {
  label: string;
  name: string;
  anchor: Anchor | null;
  words: readonly string[];
  edge: "start" | "end";
  always: string;
  onChange: (anchor: Anchor | null) => void;
}

/** A word of the script, chosen by its place in it. */
export function Moment({ label, name, anchor, words, edge, always, onChange }: MomentProps) {
  const place = anchor?.at === "word" ? placeOf(anchor, words) : -1;
  const gone = anchor?.at === "word" && place < 0;
  const timed = anchor?.at === "time" && anchor.ms > 0;
  return (
    <Select
      className={gone ? "moment gone" : "moment"}
      label={name}
      aria-label={label}
      aria-invalid={gone}
      value={gone ? "gone" : timed ? "time" : place < 0 ? "" : place}
      onChange={(chosen) => {
        if (chosen === "") onChange(null);
        else if (chosen in words) onChange({ ...anchorAt(words, Number(chosen)), edge });
      }}
      none={always}
      of={words.map((word, at) => [at, `${at + 1} · ${word}`])}
    >
      {gone && <option value="gone">{t`“${anchor.word}” is gone: choose a word`}</option>}
      {timed && <option value="time">{t`${anchor.ms / 1000} s`}</option>}
    </Select>
  );
}
