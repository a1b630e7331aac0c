/** Rotated boxes of overlays: degrees clockwise about the middle, places in fractions of the canvas (avatar/compose/rotation.py). */

import type { Overlay } from "./anchors";
import { type Box, dragged, type Format, type Guide, type Point, type Side, snapped, WHOLE } from "./boxes";

const RATIOS: Record<Format, number> = { "16:9": 16 / 9, "9:16": 9 / 16, "1:1": 1 };
const STEP_DEG = 15;
/** So near to a quarter turn the angle snaps to it. */
const NEAR_DEG = 4;
/** From the frame to the handle that rotates it, against the shorter side of the canvas. */
const HANDLE_GAP = 0.11;
const CURSORS = ["nwse-resize", "ns-resize", "nesw-resize", "ew-resize"] as const;

export const rotationOf = (overlay: Overlay) => (overlay.kind === "arrow" ? 0 : (overlay.rotation_deg ?? 0));

/** An angle within -180 (left out) to 180, in tenths. */
export function normalizedAngle(degrees: number): number {
  const within = ((Math.round(degrees * 10) % 3600) + 3600) % 3600;
  return (within > 1800 ? within - 3600 : within) / 10;
}

/** As an overlay whose angle is `degrees`; an arrow has none. */
export const withRotation = (overlay: Overlay, degrees: number): Overlay =>
  overlay.kind === "arrow" ? overlay : { ...overlay, rotation_deg: normalizedAngle(degrees) };

export function rotateVector({ x, y }: Point, degrees: number, format: Format): Point {
  const [ratio, angle] = [RATIOS[format], (degrees * Math.PI) / 180];
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return { x: x * cos - (y * sin) / ratio, y: x * ratio * sin + y * cos };
}

const middleOf = ({ x, y, width, height }: Box): Point => ({ x: x + width / 2, y: y + height / 2 });
const difference = (one: Point, other: Point): Point => ({ x: one.x - other.x, y: one.y - other.y });

/** The upright box around a rotated one. */
export function boundsOf(box: Box, degrees: number, format: Format): Box {
  if (degrees === 0) return box;
  const [one, other] = [box.height, -box.height].map((height) => rotateVector({ x: box.width, y: height }, degrees, format));
  const width = Math.max(Math.abs(one?.x ?? 0), Math.abs(other?.x ?? 0));
  const height = Math.max(Math.abs(one?.y ?? 0), Math.abs(other?.y ?? 0));
  const { x, y } = middleOf(box);
  return { x: x - width / 2, y: y - height / 2, width, height };
}

/** The box with some sides moved along its own axes; the opposite corner, or the middle of the opposite side, stays. */
export function resizedAlongAxes(box: Box, sides: readonly Side[], by: Point, degrees: number, format: Format): Box {
  const changed = dragged(box, sides, by);
  if (degrees === 0) return changed;
  const moved = difference(middleOf(box), middleOf(changed));
  const shift = difference(moved, rotateVector(moved, degrees, format));
  const rounded = (value: number) => Math.min(2, Math.max(-1, Math.round(value * 1000) / 1000));
  return { ...changed, x: rounded(changed.x + shift.x), y: rounded(changed.y + shift.y) };
}

/** As `resizedAlongAxes`, for a pointer that has moved by these fractions of the canvas. */
export const resized = (box: Box, sides: readonly Side[], by: Point, degrees: number, format: Format): Box =>
  resizedAlongAxes(box, sides, degrees === 0 ? by : rotateVector(by, -degrees, format), degrees, format);

/** A moved box with what is seen of it on lines that are near, and those lines. */
export function snappedBounds(
  box: Box,
  degrees: number,
  format: Format,
  lines: Parameters<typeof snapped>[2],
): { box: Box; guides: Guide[] } {
  const bounds = boundsOf(box, degrees, format);
  const found = snapped(bounds, WHOLE, lines);
  return found.guides.length > 0 ? { ...found, box: dragged(box, WHOLE, difference(found.box, bounds)) } : { ...found, box };
}

/** The angle of a box whose handle is dragged `by` from `from`: snaps to quarter turns, or to every 15 degrees, or to none. */
export function draggedAngle(
  { box, degrees, format }: { box: Box; degrees: number; format: Format },
  from: Point,
  by: Point,
  snap: "quarters" | "steps" | "none",
): number {
  const angleOf = ({ x, y }: Point) => (Math.atan2(y, x * RATIOS[format]) * 180) / Math.PI;
  const start = difference(from, middleOf(box));
  const raw = degrees + angleOf({ x: start.x + by.x, y: start.y + by.y }) - angleOf(start);
  if (snap === "none") return normalizedAngle(raw);
  if (snap === "steps") return normalizedAngle(STEP_DEG * Math.round(raw / STEP_DEG));
  const quarter = 90 * Math.round(raw / 90);
  return normalizedAngle(Math.abs(raw - quarter) <= NEAR_DEG ? quarter : Math.round(raw));
}

/** How far below the top of its box the handle that rotates it is, against the height of the box: above it where there is room on the
 * canvas, else below it, else inside. */
export function handlePlace(box: Box, degrees: number, format: Format): number {
  const gap = HANDLE_GAP * Math.min(1, RATIOS[format]);
  const middle = middleOf(box);
  const isOnCanvas = (top: number) => {
    const { x, y } = rotateVector({ x: 0, y: top - box.height / 2 }, degrees, format);
    return [middle.x + x, middle.y + y].every((at) => at > 0.03 && at < 0.97);
  };
  return ([-gap, box.height + gap].find(isOnCanvas) ?? Math.min(gap, box.height / 2)) / box.height;
}

/** The cursor over a handle, by its place in `HANDLES`. */
export const cursorOf = (handle: number, degrees: number) => CURSORS[(handle + Math.round(degrees / 45) + 8) % 4];
