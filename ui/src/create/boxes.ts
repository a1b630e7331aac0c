/** Places of overlays on the canvas, in fractions of it: the usual ones (avatar/compose/graphics.py), moving, resizing, snapping. */

import type { Project } from "../api/client";
import { type Overlay, spanOf } from "./anchors";

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}
export interface Point {
  x: number;
  y: number;
}
export type Side = "left" | "top" | "right" | "bottom";
type Axis = "x" | "y";
/** The sides that a handle moves; all four move the box. */
export const HANDLES: readonly (readonly Side[])[] = [
  ["top", "left"],
  ["top"],
  ["top", "right"],
  ["right"],
  ["bottom", "right"],
  ["bottom"],
  ["bottom", "left"],
  ["left"],
];
export const WHOLE: readonly Side[] = ["left", "top", "right", "bottom"];
export type Format = "16:9" | "9:16" | "1:1";

const MIN_SIZE = 0.03;
const NEAR = 0.012;
const ALONG: Record<Axis, { size: "width" | "height"; sides: readonly [Side, Side] }> = {
  x: { size: "width", sides: ["left", "right"] },
  y: { size: "height", sides: ["top", "bottom"] },
};
/** Left, top, right, bottom, as SAFE_AREAS of avatar/compose/layout.py. */
const MARGINS: Record<Format, readonly [number, number, number, number]> = {
  "16:9": [0.05, 0.05, 0.05, 0.06],
  "9:16": [0.06, 0.08, 0.14, 0.2],
  "1:1": [0.06, 0.06, 0.06, 0.08],
};

export function formatOf(canvas: Project["canvas"]): Format {
  if (canvas.width === canvas.height) return "1:1";
  return canvas.width > canvas.height ? "16:9" : "9:16";
}

export function safeArea(format: Format): Box {
  const [left, top, right, bottom] = MARGINS[format];
  return { x: left, y: top, width: 1 - left - right, height: 1 - top - bottom };
}

const ABOVE_CAPTIONS: Record<Format, number> = { "16:9": 0.14, "9:16": 0.1125, "1:1": 0.2 };

/** Where an overlay is; null for an arrow, which has points. */
export function boxOf(overlay: Overlay, format: Format): Box | null {
  if (overlay.kind === "arrow") return null;
  const named = "box" in overlay ? overlay.box : null;
  if (named) {
    const { x = 0, y = 0, width = 1, height = 1 } = named;
    return { x, y, width, height };
  }
  const safe = safeArea(format);
  if (overlay.kind === "lower_third") {
    const half = safe.height / 2;
    return { ...safe, y: safe.y + half, height: half - ABOVE_CAPTIONS[format] };
  }
  if (overlay.kind === "list") {
    if (format !== "16:9") return { ...safe, height: 0.36 * safe.height };
    const width = 0.47 * safe.width;
    return { x: safe.x + safe.width - width, y: safe.y + 0.06 * safe.height, width, height: 0.74 * safe.height };
  }
  return { ...safe, y: safe.y + 0.14 * safe.height, height: 0.72 * safe.height };
}

/** Whether it may be seen while the word with this index is spoken; times in milliseconds are known to the renderer alone. */
export function isShownAt({ start, end }: Overlay, words: readonly string[], word: number): boolean {
  if (start?.at === "word") {
    const span = spanOf(start, words);
    if (!span || (start.edge === "end" ? span[1] + 1 : span[0]) > word) return false;
  }
  const span = end?.at === "word" ? spanOf(end, words) : null;
  // One whose last word is gone stays to the end of the scene.
  return !span || (end?.at === "word" && end.edge === "end" ? span[1] >= word : span[0] > word);
}

const rounded = (value: number) => Math.round(value * 1000) / 1000;
const within = (value: number, low: number, high: number) => Math.min(high, Math.max(low, value));

/** The box with some sides moved by these fractions. Its middle stays on the canvas. */
export function dragged(box: Box, sides: readonly Side[], by: Point): Box {
  const moved = { ...box };
  for (const axis of ["x", "y"] as const) {
    const { size, sides: both } = ALONG[axis];
    const [first, last] = both.map((side) => sides.includes(side));
    if (first && last) moved[axis] = within(box[axis] + by[axis], -box[size] / 2, 1 - box[size] / 2);
    else if (first) {
      const end = box[axis] + box[size];
      moved[axis] = within(box[axis] + by[axis], -1, end - MIN_SIZE);
      moved[size] = end - moved[axis];
    } else if (last) moved[size] = within(box[size] + by[axis], MIN_SIZE, 2);
    moved[axis] = rounded(moved[axis]);
    moved[size] = rounded(moved[size]);
  }
  return moved;
}

export interface Guide {
  axis: Axis;
  at: number;
}

/** Edges and middles of the canvas, of its safe area and of other boxes. */
export function linesOf(format: Format, others: readonly Box[]): Record<Axis, number[]> {
  const boxes = [{ x: 0, y: 0, width: 1, height: 1 }, safeArea(format), ...others];
  const along = (axis: Axis) => boxes.flatMap((box) => [0, 0.5, 1].map((share) => box[axis] + share * box[ALONG[axis].size]));
  return { x: along("x"), y: along("y") };
}

/** The box with its moving sides on lines that are near, and those lines. */
export function snapped(box: Box, sides: readonly Side[], lines: Record<Axis, number[]>): { box: Box; guides: Guide[] } {
  const guides: Guide[] = [];
  let result = box;
  for (const axis of ["x", "y"] as const) {
    const { size, sides: both } = ALONG[axis];
    const [first, last] = both.map((side) => sides.includes(side));
    if (!first && !last) continue;
    const shares = first && last ? [0.5, 0, 1] : [first ? 0 : 1];
    const pairs = shares.flatMap((share) => lines[axis].map((at) => ({ at, by: at - (box[axis] + share * box[size]) })));
    const best = pairs.reduce((one, other) => (Math.abs(other.by) < Math.abs(one.by) ? other : one));
    if (Math.abs(best.by) > NEAR) continue;
    result = dragged(result, sides, { x: 0, y: 0, [axis]: best.by });
    guides.push({ axis, at: best.at });
  }
  return { box: result, guides };
}

export const movedPoint = ({ x, y }: Point, by: Point): Point => ({
  x: rounded(within(x + by.x, 0, 1)),
  y: rounded(within(y + by.y, 0, 1)),
});
