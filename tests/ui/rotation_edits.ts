/** Random boxes at random angles: what a resize by a handle must leave in place, and what snaps. Prints what went wrong, as JSON. */
import { type Box, dragged, type Format, HANDLES, linesOf, type Point, WHOLE } from "../../ui/src/create/boxes";
import { boundsOf, draggedAngle, handlePlace, normalizedAngle, resized, rotateVector, snappedBounds } from "../../ui/src/create/rotation";
import { isSame } from "../../ui/src/create/script";

const [rounds, seed] = process.argv.slice(2).map(Number) as [number, number];
let state = seed;
const random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};
const pick = <T>(all: readonly T[]) => all[Math.floor(random() * all.length)] as T;
const thousandth = (value: number) => Math.round(value * 1000) / 1000;
const RATIOS: Record<Format, number> = { "16:9": 16 / 9, "9:16": 9 / 16, "1:1": 1 };
const wrong: string[] = [];
const counts = { resized: 0, grown: 0, quarters: 0, steps: 0, guides: 0, handlesAbove: 0, handlesElsewhere: 0 };

/** Where a point of a box is seen; `share` is 0 to 1 of its width and height. */
const seenAt = ({ x, y, width, height }: Box, share: Point, degrees: number, format: Format): Point => {
  const by = rotateVector({ x: (share.x - 0.5) * width, y: (share.y - 0.5) * height }, degrees, format);
  return { x: x + width / 2 + by.x, y: y + height / 2 + by.y };
};
const isNear = (one: Point, other: Point, most: number) => Math.hypot(one.x - other.x, one.y - other.y) <= most;

for (let round = 0; round < rounds; round++) {
  const format = pick(["16:9", "9:16", "1:1"] as const);
  const box = { x: thousandth(random()), y: thousandth(random()), width: thousandth(0.1 + random() / 2), height: thousandth(0.1 + random() / 2) };
  const degrees = normalizedAngle(360 * random());
  const by = { x: random() - 0.5, y: random() - 0.5 };
  const sides = pick(HANDLES);
  const input = JSON.stringify([format, box, degrees, by, sides]);

  if (!isSame(resized(box, sides, by, 0, format), dragged(box, sides, by))) wrong.push(`not as before: ${input}`);
  const after = resized(box, sides, by, degrees, format);
  const along = (low: string, high: string) => (sides.includes(low as never) ? 1 : sides.includes(high as never) ? 0 : 0.5);
  const opposite = { x: along("left", "right"), y: along("top", "bottom") };
  const isInside = after.x > -1 && after.x < 2 && after.y > -1 && after.y < 2;
  const stays = isNear(seenAt(box, opposite, degrees, format), seenAt(after, opposite, degrees, format), 0.003);
  if (isInside && !stays) wrong.push(`the opposite corner moved: ${input}`);
  counts.resized++;
  // Where nothing is at its least or most size, the dragged corner follows the pointer.
  if (sides.length === 2 && after.width > 0.04 && after.height > 0.04 && isInside) {
    const corner = { x: 1 - opposite.x, y: 1 - opposite.y };
    const start = seenAt(box, corner, degrees, format);
    const raw = rotateVector(by, -degrees, format);
    const isFree = dragged(box, sides, raw).x > -1 && dragged(box, sides, raw).y > -1;
    if (isFree && !isNear(seenAt(after, corner, degrees, format), { x: start.x + by.x, y: start.y + by.y }, 0.004))
      wrong.push(`the corner is not at the pointer: ${input}`);
    counts.grown++;
  }

  // The bounds hold all corners, and two of them touch each of their sides.
  const bounds = boundsOf(box, degrees, format);
  const corners = [0, 1].flatMap((x) => [0, 1].map((y) => seenAt(box, { x, y }, degrees, format)));
  const extremes = [Math.min(...corners.map(({ x }) => x)), Math.min(...corners.map(({ y }) => y))];
  if (!isNear({ x: bounds.x, y: bounds.y }, { x: extremes[0] ?? 9, y: extremes[1] ?? 9 }, 1e-6)) wrong.push(`bounds: ${input}`);
  // As a drag leaves it: with its middle on the canvas.
  const snapped = snappedBounds(dragged(box, WHOLE, by), degrees, format, linesOf(format, []));
  for (const { axis, at } of snapped.guides) {
    counts.guides++;
    const size = axis === "x" ? "width" : "height";
    const now = boundsOf(snapped.box, degrees, format);
    if (![0, 0.5, 1].some((share) => Math.abs(now[axis] + share * now[size] - at) < 0.0025)) wrong.push(`no side on its guide: ${input}`);
  }

  // The pointer on a circle around the middle, `turn` degrees on: so far is the box rotated.
  const [turn, radius] = [360 * random() - 180, 0.1 + random()];
  const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  const onCircle = (angle: number) => {
    const [cos, sin] = [Math.cos((angle * Math.PI) / 180), Math.sin((angle * Math.PI) / 180)];
    return { x: middle.x + (radius * cos) / RATIOS[format], y: middle.y + radius * sin };
  };
  const [from, to] = [onCircle(degrees - 90), onCircle(degrees - 90 + turn)];
  const moved = { x: to.x - from.x, y: to.y - from.y };
  const angles = { box, degrees, format };
  const apart = (one: number, other: number) => Math.abs(normalizedAngle(one - other));
  if (apart(draggedAngle(angles, from, moved, "none"), degrees + turn) > 0.11) wrong.push(`angle: ${input} ${turn}`);
  const steps = draggedAngle(angles, from, moved, "steps");
  if (steps % 15 !== 0 || apart(steps, degrees + turn) > 7.6) wrong.push(`steps: ${steps} ${input} ${turn}`);
  counts.steps++;
  const soft = draggedAngle(angles, from, moved, "quarters");
  const off = Math.min(...[0, 90, 180, -90].map((quarter) => apart(degrees + turn, quarter)));
  if (off < 3.9 ? soft % 90 !== 0 : apart(soft, degrees + turn) > 0.61) if (off < 3.9 || off > 4.1) wrong.push(`soft: ${soft} ${input} ${turn}`);
  if (soft % 90 === 0) counts.quarters++;
  if (soft <= -180 || soft > 180) wrong.push(`range: ${soft}`);

  const place = handlePlace(box, degrees, format);
  if (place < 0) {
    counts.handlesAbove++;
    const { x, y } = seenAt(box, { x: 0.5, y: place }, degrees, format);
    if (Math.min(x, y, 1 - x, 1 - y) < 0) wrong.push(`the handle is outside: ${input}`);
  } else counts.handlesElsewhere++;
}
console.log(JSON.stringify({ wrong: wrong.slice(0, 20), counts }));
