/** The frames of overlays over the picture of a scene: drag, resize by eight handles, rotate, snap, and the same by the keyboard. */
import { t } from "@lingui/core/macro";
import { type KeyboardEvent, type PointerEvent, useRef, useState } from "react";
import type { Overlay } from "./anchors";
import {
  type Box,
  boxOf,
  dragged,
  type Format,
  type Guide,
  HANDLES,
  isShownAt,
  linesOf,
  movedPoint,
  type Point,
  snapped,
  WHOLE,
} from "./boxes";
import { layerName } from "./OnScreen";
import {
  boundsOf,
  cursorOf,
  draggedAngle,
  handlePlace,
  resized,
  resizedAlongAxes,
  rotationOf,
  snappedBounds,
  withRotation,
} from "./rotation";

const STEP = 0.01;
const BIG_STEP = 0.05;
const ARROWS: Record<string, Point> = {
  ArrowLeft: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
  ArrowUp: { x: 0, y: -1 },
  ArrowDown: { x: 0, y: 1 },
};
/** Degrees of a press of the comma or the full stop, and of what Shift makes of them on English and German keyboards. */
const ROTATIONS: Record<string, number> = { ",": -1, "<": -1, ";": -1, ".": 1, ">": 1, ":": 1 };
const BIG_ROTATION = 15;

/** A person in the picture. */
export interface PresenterFrame {
  name: string;
  box: Box;
}

interface Props {
  overlays: readonly Overlay[];
  /** They lie below the overlays, and count behind them in `selected`, `onSelect` and `onChange`. */
  presenters: readonly PresenterFrame[];
  words: readonly string[];
  /** Index of the spoken word that the picture shows. */
  word: number;
  format: Format;
  selected: number | null;
  onSelect: (at: number | null) => void;
  /** `group`: steps by the keyboard are undone as one. */
  onChange: (at: number, overlay: Overlay, group?: string) => void;
  onRemove: (at: number) => void;
}

/** What is dragged, until it is dropped. */
interface Drag {
  at: number;
  from: Point;
  /** `from`: where the pointer was, in fractions of the canvas. */
  change: (by: Point, event: PointerEvent, from: Point) => { overlay: Overlay; guides: Guide[] };
  overlay: Overlay;
  guides: Guide[];
  moved: boolean;
}

export function CanvasLayers({
  overlays: layers,
  presenters,
  words,
  word,
  format,
  selected,
  onSelect,
  onChange,
  onRemove,
}: Props) {
  const area = useRef<HTMLDivElement>(null);
  const overlays = [...layers, ...presenters.map(asOverlay)];
  const isPresenter = (at: number) => at >= layers.length;
  const [drag, setDrag] = useState<Drag | null>(null);
  const isShown = (at: number) => {
    const overlay = overlays[at];
    return overlay !== undefined && (at === selected || isShownAt(overlay, words, word));
  };

  const begin = (at: number, overlay: Overlay, change: Drag["change"]) => (event: PointerEvent<HTMLElement>) => {
    if (event.button !== 0) return;
    event.stopPropagation();
    event.currentTarget.setPointerCapture(event.pointerId);
    onSelect(at);
    setDrag({ at, from: { x: event.clientX, y: event.clientY }, change, overlay, guides: [], moved: false });
  };
  const dragTo = (event: PointerEvent<HTMLElement>): Drag | null => {
    const bounds = area.current?.getBoundingClientRect();
    if (!drag || !bounds) return null;
    const by = { x: (event.clientX - drag.from.x) / bounds.width, y: (event.clientY - drag.from.y) / bounds.height };
    if (by.x === 0 && by.y === 0) return drag;
    const from = { x: (drag.from.x - bounds.left) / bounds.width, y: (drag.from.y - bounds.top) / bounds.height };
    return { ...drag, ...drag.change(by, event, from), moved: true };
  };
  /** A browser may leave out the last movement: the place where it was dropped counts. */
  const drop = (event: PointerEvent<HTMLElement>) => {
    const last = dragTo(event);
    if (last?.moved) onChange(last.at, last.overlay);
    setDrag(null);
  };

  const pressed = (event: KeyboardEvent, at: number, moveBy: (by: Point, resize: boolean) => Overlay) => {
    const arrow = ARROWS[event.key];
    const rotation = ROTATIONS[event.key];
    const overlay = overlays[at];
    if (event.key === "Escape") {
      if (drag) setDrag(null);
      else onSelect(null);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      if (isPresenter(at)) return;
      onRemove(at);
    } else if (arrow && !event.ctrlKey && !event.metaKey) {
      const step = event.shiftKey ? BIG_STEP : STEP;
      onChange(at, moveBy({ x: arrow.x * step, y: arrow.y * step }, event.altKey), "arrows");
    } else if (
      rotation &&
      overlay &&
      !isPresenter(at) &&
      overlay.kind !== "arrow" &&
      !event.ctrlKey &&
      !event.metaKey &&
      !event.altKey
    ) {
      const by = event.shiftKey ? rotation * BIG_ROTATION : rotation;
      onChange(at, withRotation(overlay, rotationOf(overlay) + by), "rotation");
    } else return;
    event.preventDefault();
  };

  const listeners = {
    onPointerMove: (event: PointerEvent<HTMLElement>) => setDrag(dragTo(event)),
    onPointerUp: drop,
    onPointerCancel: () => setDrag(null),
  };
  const order = overlays.map((_, at) => at).filter(isShown);
  order.sort((one, other) => (overlays[one]?.z ?? 0) - (overlays[other]?.z ?? 0));
  return (
    <div className="layers" ref={area}>
      {order.map((at) => {
        const overlay = drag?.at === at ? drag.overlay : overlays[at];
        if (!overlay) return null;
        const name = presenters[at - layers.length]?.name ?? layerName(overlay, at);
        const state = at === selected ? "layer-frame selected" : "layer-frame";
        if (overlay.kind === "arrow")
          return (["tail", "head"] as const).map((end) => {
            const point = overlay[end];
            const changed = (by: Point) => ({ ...overlay, [end]: movedPoint(point, by) });
            return (
              <button
                key={`${at} ${end}`}
                type="button"
                className={`${state} point`}
                aria-label={end === "tail" ? t`${name}: its tail` : t`${name}: its head`}
                style={{ left: percent(point.x), top: percent(point.y) }}
                onFocus={() => onSelect(at)}
                onKeyDown={(event) => pressed(event, at, changed)}
                onPointerDown={begin(at, overlay, (by) => ({ overlay: changed(by), guides: [] }))}
                {...listeners}
              />
            );
          });
        const box = boxOf(overlay, format);
        if (!box) return null;
        const degrees = rotationOf(overlay);
        const lines = () => {
          const others = order.filter((one) => one !== at).flatMap((one) => overlays[one] ?? []);
          return linesOf(
            format,
            others.flatMap((one) => {
              const other = boxOf(one, format);
              return other ? boundsOf(other, rotationOf(one), format) : [];
            }),
          );
        };
        const move: Drag["change"] = (by, { altKey }) => {
          const raw = dragged(box, WHOLE, by);
          const found = altKey ? { box: raw, guides: [] } : snappedBounds(raw, degrees, format, lines());
          return { overlay: { ...overlay, box: found.box } as Overlay, guides: found.guides };
        };
        const resize =
          (sides: (typeof HANDLES)[number]): Drag["change"] =>
          (by, { altKey }) => {
            const raw = resized(box, sides, by, degrees, format);
            // The sides of a rotated box lie along no line.
            const found = altKey || degrees !== 0 ? { box: raw, guides: [] } : snapped(raw, sides, lines());
            return { overlay: { ...overlay, box: found.box } as Overlay, guides: found.guides };
          };
        const rotate: Drag["change"] = (by, { altKey, shiftKey }, from) => {
          const snap = altKey ? "none" : shiftKey ? "steps" : "quarters";
          return { overlay: withRotation(overlay, draggedAngle({ box, degrees, format }, from, by, snap)), guides: [] };
        };
        const byKeys = (by: Point, resize: boolean) => {
          const changed = resize ? resizedAlongAxes(box, ["right", "bottom"], by, degrees, format) : dragged(box, WHOLE, by);
          return { ...overlay, box: changed } as Overlay;
        };
        // Where it was before the drag: the handle keeps its side under the pointer.
        const before = overlays[at] ?? overlay;
        const handle = handlePlace(boxOf(before, format) ?? box, rotationOf(before), format);
        return (
          <button
            key={at}
            type="button"
            className={state}
            aria-label={t`${name}: place on the picture`}
            aria-pressed={at === selected}
            title={
              isPresenter(at)
                ? t`Drag it, or move it with the arrow keys; with Alt they resize it.`
                : t`Drag it, or move it with the arrow keys; with Alt they resize it. The comma and the full stop rotate it.`
            }
            style={{ ...styleOf(box), ...(degrees !== 0 && { transform: `rotate(${degrees}deg)` }) }}
            onFocus={() => onSelect(at)}
            onKeyDown={(event) => pressed(event, at, byKeys)}
            onPointerDown={begin(at, overlay, move)}
            {...listeners}
          >
            {at === selected &&
              HANDLES.map((sides, place) => (
                <span
                  key={sides.join("-")}
                  className={`handle ${sides.join("-")}`}
                  style={{ cursor: cursorOf(place, degrees) }}
                  onPointerDown={begin(at, overlay, resize(sides))}
                />
              ))}
            {at === selected && !isPresenter(at) && (
              <span
                className="handle rotate"
                style={{ top: percent(handle) }}
                title={t`Rotate: Shift in steps of 15°, Alt without snapping`}
                onPointerDown={begin(at, overlay, rotate)}
              >
                <svg viewBox="0 0 12 12" aria-hidden="true">
                  <path d="M9.6 7.6A4 4 0 1 1 9.2 3.6M9.6 1.4v2.6H7" />
                </svg>
              </span>
            )}
          </button>
        );
      })}
      {drag && rotationOf(drag.overlay) !== rotationOf(overlays[drag.at] ?? drag.overlay) && (
        <output className="degrees">{degreesText(rotationOf(drag.overlay))}</output>
      )}
      {drag?.guides.map(({ axis, at }) => (
        <span key={axis} className={`guide ${axis}`} style={{ [axis === "x" ? "left" : "top"]: percent(at) }} />
      ))}
    </div>
  );
}

const LOWEST = -101;
const asOverlay = ({ box }: PresenterFrame) =>
  ({ kind: "highlight", box, start: { at: "time", ms: 0 }, z: LOWEST }) as unknown as Overlay;
const percent = (share: number) => `${100 * share}%`;
const degreesText = (degrees: number) => `${degrees}°`;
const styleOf = ({ x, y, width, height }: Box) => ({
  left: percent(x),
  top: percent(y),
  width: percent(width),
  height: percent(height),
});
