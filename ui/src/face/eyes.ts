/** Eyes and brows (avatar/engines/rig/eyes.py and figure.py). */
import type { Brows, Eyes, Skin } from "./description";
import {
  band,
  blend,
  type Context,
  clamp,
  clear,
  fillCircle,
  fillPath,
  fillSpot,
  linear,
  linspace,
  loop,
  lower,
  type Point,
  radial,
  soft,
  taper,
  trace,
} from "./geometry";
import { type Pose, surface } from "./pose";

const CENTRE_X = 32;
const HALF_WIDTH = 18;
const GAZE_TRAVEL = 0.35;
const SOCKET_RADIUS = 30;
const T = linspace(-1, 1, 13);

/** Upper and lower lid edges, from the inner corner to the outer one. */
export function lidEdges(style: Eyes, blink: number, squint: number, lid: number): [Point[], Point[]] {
  const upper: Point[] = [];
  const under: Point[] = [];
  for (const t of T) {
    const tilt = -style.tilt * t;
    const open = openEdge(style, t);
    const arc = 0.38 * style.height * (1 - Math.abs(t) ** 2.2) ** 0.85 * (1 + 0.16 * t);
    const low = tilt + arc * (1 - 0.12 * blink - 0.16 * squint);
    const atRest = tilt + (open - tilt) * (1 + (lid > 0 ? 0.22 : 0.38) * lid);
    upper.push([t * HALF_WIDTH, atRest + (low - 0.2 - atRest) * blink]);
    under.push([t * HALF_WIDTH, low]);
  }
  return [upper, under];
}

const openEdge = (style: Eyes, t: number): number =>
  -style.tilt * t - 0.62 * style.height * (1 - Math.abs(t) ** 2.3) ** 0.72 * (1 + 0.1 * t);

export function drawEyes(context: Context, style: Eyes, skin: Skin, pose: Pose): void {
  const { smile, wide, lid } = pose.channels;
  const blink = clamp(pose.channels.blink, 0, 1);
  const [upper, under] = lidEdges(style, blink, 0.35 * Math.max(wide, 0) + 0.75 * Math.max(smile, 0), lid);
  const crease: Point[] = T.map((t) => [t * HALF_WIDTH, openEdge(style, t) - 3.4 - 1.2 * (1 - t * t)]);
  for (const side of [-1, 1]) {
    context.save();
    pose.plate(context, side * CENTRE_X, 0);
    // A blink squashes the eye: wider and a little lower.
    context.translate(0, 0.9 * blink);
    context.scale(side * (1 + 0.035 * blink), 1);
    fillSpot(context, 0, -8, SOCKET_RADIUS, 0.72, soft(skin.shade, 0.55));
    if (blink < 0.97) drawBall(context, style, skin, pose, upper, under, side);
    if (blink > 0.02 || lid < -0.02) {
      const { height } = style;
      const stops: [string, number][] = [
        [skin.base, 0],
        [blend(skin.base, style.lid, 0.7), 0.45],
        [style.lid, 1],
      ];
      fillPath(context, band(crease, upper), linear(context, 0, -0.85 * height, 0, 0.45 * height, stops));
    }
    fillPath(context, taper(lower(crease.slice(1, -1), 1.2 * blink), 1.5), style.crease);
    fillPath(context, taper(under.slice(2), 1.1), clear(style.lash, 0.55));
    drawLashes(context, style, upper, blink);
    context.restore();
  }
}

function drawBall(context: Context, style: Eyes, skin: Skin, pose: Pose, upper: Point[], under: Point[], side: number): void {
  const r = style.iris_radius;
  const opening = band(upper, under);
  fillPath(context, opening, style.sclera);
  context.save();
  context.beginPath();
  trace(context, opening);
  context.clip();
  fillCircle(context, 1 - HALF_WIDTH, style.tilt, 3.6, blend(skin.blush, skin.light, 0.35));
  context.save();
  const { gaze_x, gaze_y } = pose.channels;
  context.translate(gaze_x * side * GAZE_TRAVEL * r - 0.6, gaze_y * GAZE_TRAVEL * r - 0.03 * style.height);
  const iris = radial(context, 0, r * 0.3, r * 1.25, [
    [style.iris_light, 0],
    [style.iris, 0.48],
    [style.iris_dark, 0.86],
    [style.iris_dark, 1],
  ]);
  fillCircle(context, 0, 0, r, iris);
  context.beginPath();
  context.arc(0, 0, r * 0.95, 0, 2 * Math.PI);
  context.strokeStyle = clear(style.iris_dark, 0.85);
  context.lineWidth = r * 0.13;
  context.stroke();
  fillCircle(context, 0, 0, r * 0.44, "#17100f");
  // The lights in the eyes stay on the lamp's side, they are not mirrored with the eye.
  fillCircle(context, -0.34 * r * side, -0.36 * r, r * 0.24, "#ffffff");
  fillCircle(context, 0.36 * r * side, 0.4 * r, r * 0.12, "#ffffffb0");
  context.restore();
  const shade = clear(blend(skin.deep, "#5a4660", 0.5), 0.34);
  fillPath(context, band(lower(upper, -2), lower(upper, 0.2 * style.height)), shade);
  context.restore();
}

/** A wedge along the upper lid, thicker outward, with a wing and a few lashes. */
function drawLashes(context: Context, style: Eyes, upper: Point[], blink: number): void {
  const full = style.lashes;
  const top: Point[] = upper.map(([x, y], k) => {
    const width = k === 0 ? 0.1 : style.line * (0.3 + 0.7 * (((T[k] as number) + 1) / 2) ** 0.8);
    return [x, y - width * (1 - 0.15 * blink)];
  });
  const [ox, oy] = upper.at(-1) as Point;
  const wing: Point = [ox + 4.6 * full, oy + (-3 + 4.6 * blink) * full];
  const ring = [...upper, wing, ...[...top].reverse()];
  context.beginPath();
  trace(context, loop(ring, [0, 12, 13, 14, ring.length - 1]));
  if (full > 0.3)
    for (const [place, out, up] of [
      [11, 4.4, 3.4],
      [10, 3.4, 3.9],
    ] as const) {
      const [rx, ry] = top[place] as Point;
      const root: Point = [rx, ry + 0.6];
      const tip: Point = [root[0] + out * full, root[1] + (-up + 1.9 * up * blink) * full];
      const bend: Point = [root[0] * 0.45 + tip[0] * 0.55 + 0.5, root[1] * 0.45 + tip[1] * 0.55 + 0.35 - 0.7 * blink];
      trace(context, spike(root, bend, tip, 0.9));
    }
  context.fillStyle = style.lash;
  context.fill();
}

/** A lash: as thick as `width` at its root, nothing at its tip. */
function spike(root: Point, bend: Point, tip: Point, width: number): Point[] {
  const [x, y] = [tip[0] - root[0], tip[1] - root[1]];
  const half = width / 2 / Math.max(Math.hypot(x, y), 1e-6);
  const [nx, ny] = [-y * half, x * half];
  const ring: Point[] = [
    [root[0] + nx, root[1] + ny],
    [bend[0] + nx * 0.6, bend[1] + ny * 0.6],
    tip,
    [bend[0] - nx * 0.6, bend[1] - ny * 0.6],
    [root[0] - nx, root[1] - ny],
  ];
  return loop(ring, [0, 2, 4]);
}

const BROW_T = linspace(0, 1, 9);
const BROW_START_X = 12;
const RAISE = 5;
const LOWER = 3.2;
const TILT = 5;
const BLINK_DROP = 0.9;

/** Both brows, thick inside and thin outside; the inner ends fade into the skin. */
export function drawBrows(context: Context, style: Brows, pose: Pose): void {
  const { brow, blink, brow_tilt } = pose.channels;
  const upper: Point[] = [];
  const under: Point[] = [];
  BROW_T.forEach((t, k) => {
    const bow = style.arch * Math.sin(Math.PI * t ** 1.25);
    const swell = 0.66 + 0.34 * Math.sin(Math.PI * clamp(0.1 + 0.75 * t, 0, 1));
    const thick = style.thickness * swell * (1 - 0.95 * t ** 2.4) * ([0.3, 0.86][k] ?? 1);
    const travel = 0.75 + 0.5 * Math.sin(Math.PI * t);
    const y =
      style.y -
      bow +
      2.6 * t ** 4 -
      (brow > 0 ? RAISE : LOWER) * brow * travel +
      BLINK_DROP * blink -
      TILT * brow_tilt * (1 - 1.35 * t);
    const x = BROW_START_X + style.length * t;
    upper.push([x, y - thick / 2]);
    under.push([x, y + thick / 2]);
  });
  const control = loop([...upper, ...under.reverse()], [8, 9]);
  const end = BROW_START_X + style.length;
  for (const side of [-1, 1]) {
    let shift = 0;
    const turned = control.map(([x, y]) => {
      const found = pose.turn(side * x, y, surface(x, y) + 3);
      shift += (found[0] - side * x) / control.length;
      return found;
    });
    const stops: [string, number][] = [
      [clear(style.colour, 0.6), 0],
      [clear(style.colour, 0.86), 0.2],
      [clear(style.colour, 0.95), 1],
    ];
    fillPath(context, turned, linear(context, side * BROW_START_X + shift, 0, side * end + shift, 0, stops));
  }
}
