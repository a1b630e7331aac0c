/** The mouth: lips, and behind them teeth, tongue and throat (avatar/engines/rig/mouth.py). */
import type { Mouth, Skin } from "./description";
import {
  band,
  blend,
  type Context,
  clear,
  fillPath,
  fillSpot,
  linear,
  linspace,
  lower,
  type Point,
  radial,
  type Stops,
  smoothstep,
  soft,
  taper,
  trace,
} from "./geometry";
import type { Channels, Pose } from "./pose";

/** How far each channel parts the lips at 1, in units: `avatar.tracks.aperture_e`. */
const JAW = 20;
const LOW = 14;
const RAISE = 5.5;
const CLOSED = 0.05;
const UPPER_EDGE = 4.5;
const LOWER_EDGE = 4.4;
const SPREAD = 0.21;
const PUCKER = 0.68;
const PUCKER_OUTSIDE = 0.46;
const MEET = 0.3;
const HIDE_FROM = 0.4;
const HIDE_FULL = 0.78;
const SKEW = 0.06;
const MIN_LOWER_ROW = 1.4;
const TIP_BETWEEN = 0.8;
const SMILE = 5.6;
const FROWN = 7.5;
const TOOTH_GAPS = [0, 5.4, -5.4, 10.2, -10.2, 14.4, -14.4];
const MIDDLE = 8;
// Dense at the corners, where the edges are steep.
const T = linspace(-Math.PI / 2, Math.PI / 2, 17).map(Math.sin);
const T11 = linspace(-1, 1, 11);
const BOW: Point[] = [
  [0, 0.84],
  [0.1, 0.9],
  [0.26, 1],
  [0.45, 0.9],
  [0.7, 0.58],
  [0.9, 0.2],
  [1, 0],
];

/** Per knot of `T`: the shares by which each movement shows there. */
const SHAPES = T.map((t) => {
  const away = Math.abs(t);
  const dome = (power: number, root: number) => Math.max(0, 1 - away ** power) ** root;
  return {
    t,
    upper: dome(2.5, 0.55),
    lower: dome(3, 0.45),
    lowerWideOpen: dome(2.7, 0.5),
    full: dome(2.6, 0.52),
    round: Math.sqrt(Math.max(0, 1 - t * t)),
    bow: interpolate(BOW, away),
    wave: 0.9 * Math.exp(-((t / 0.22) ** 2)) - 0.5 * Math.exp(-(((away - 0.42) / 0.2) ** 2)),
    corner: away ** 2.3,
    outward: 1.3 * Math.sign(t) * away ** 6,
  };
});

function interpolate(points: readonly Point[], x: number): number {
  const next = points.findIndex(([at]) => at >= x);
  if (next <= 0) return (points[Math.max(next, 0)] as Point)[1];
  const [ax, ay] = points[next - 1] as Point;
  const [bx, by] = points[next] as Point;
  return ay + ((by - ay) * (x - ax)) / (bx - ax);
}

/** Edges of the lips from left to right; origin between the closed lips. */
export interface LipLines {
  outerUpper: Point[];
  innerUpper: Point[];
  innerLower: Point[];
  outerLower: Point[];
  halfWidth: number;
  roof: number;
  floor: number;
  chinSide: number;
}

export function lipLines(style: Mouth, channels: Channels): LipLines {
  const { jaw, press, tuck, wide, low, skew, smile } = channels;
  const up = channels.raise * (1 - press);
  const pucker = Math.max(-wide, 0);
  const spread = Math.max(wide, 0);
  const drop = (JAW * jaw + LOW * low) * (1 - press);
  const opened = Math.min(1, drop / 25);
  const width = style.half_width * (1 + SPREAD * spread + 0.07 * Math.max(smile, 0) - 0.05 * jaw);
  const inside = width - style.half_width * PUCKER * pucker;
  const outside = width - style.half_width * PUCKER_OUTSIDE * pucker;
  const lifted = style.smile + (smile > 0 ? SMILE : FROWN) * smile;
  const corners = lifted * (1 + 0.5 * spread - 0.9 * pucker) - 4.4 * jaw * (1 - 0.5 * press);
  // A pout opens upwards too, until the hole is round.
  const lift = 0.34 * pucker * drop;
  const squeezed = press * Math.min(1, (JAW * jaw) / 5);
  const plump = 1 + 0.16 * pucker - 0.1 * opened - 0.06 * spread - 0.14 * squeezed;
  const lines: LipLines = {
    outerUpper: [],
    innerUpper: [],
    innerLower: [],
    outerLower: [],
    halfWidth: 0,
    roof: 0,
    floor: 0,
    chinSide: 0,
  };
  for (const one of SHAPES) {
    const side = 1 + SKEW * skew * one.t;
    const rest = one.wave * (1 - 0.8 * pucker) - corners * side * one.corner + MEET * press * JAW * jaw * one.round;
    const upper = rest - (RAISE * up * one.upper + lift * one.round) * side;
    let bowl = one.lower + opened * (one.lowerWideOpen - one.lower);
    bowl += pucker * (one.round - bowl);
    const under = rest + (drop - lift) * bowl * side;
    const top = style.upper_height * plump * (1 - 0.12 * up) * (one.bow + 0.4 * pucker * (one.round - one.bow));
    const bottom = style.lower_height * plump * (1 - 0.5 * tuck) * one.full;
    const out = one.t * outside + one.outward;
    lines.outerUpper.push([out, upper - top]);
    lines.innerUpper.push([one.t * inside, upper]);
    lines.innerLower.push([one.t * inside, under]);
    lines.outerLower.push([out, under + bottom]);
  }
  lines.halfWidth = (lines.innerUpper.at(-1) as Point)[0];
  lines.roof = (lines.innerUpper[MIDDLE] as Point)[1];
  lines.floor = (lines.innerLower[MIDDLE] as Point)[1];
  lines.chinSide = (lines.outerLower[MIDDLE] as Point)[1];
  return lines;
}

export function drawMouth(context: Context, style: Mouth, skin: Skin, pose: Pose): void {
  const { channels } = pose;
  context.save();
  pose.plate(context, 0, style.y, 4);
  const lines = lipLines(style, channels);
  fillSpot(context, 0, lines.chinSide + 4.5, 17, 0.34, soft(style.line, 0.22));
  const strength = style.fold * Math.max(channels.wide, 0);
  if (strength >= 0.03)
    for (const side of [-1, 1]) {
      const x = lines.halfWidth;
      const fold: Point[] = [
        [18.5 * side, -25],
        [(x + 1.5) * side, -17],
        [(x + 6) * side, -8],
        [(x + 6.2) * side, 1],
      ];
      fillPath(context, taper(fold, 2.2), clear(skin.shade, strength));
    }
  if (lines.floor - lines.roof > CLOSED) drawInside(context, style, channels, lines);
  drawLips(context, style, lines, Math.max(-channels.wide, 0));
  context.restore();
}

function drawInside(context: Context, style: Mouth, channels: Channels, lines: LipLines): void {
  context.save();
  context.beginPath();
  trace(context, band(lines.innerUpper, lines.innerLower));
  context.clip();
  const radius = Math.max(lines.halfWidth, 6) * 1.1;
  context.save();
  context.translate(0, (lines.roof + lines.floor) / 2);
  context.scale(1, 0.7);
  context.fillStyle = radial(context, 0, 0, radius, [
    [blend(style.throat, "#000000", 0.35), 0],
    [style.throat, 0.65],
    [blend(style.throat, style.lower, 0.35), 1],
  ]);
  context.fillRect(-100, -100, 200, 200);
  context.restore();
  // Pouted lips hide the teeth, unless the upper lip is raised ("sh").
  const hidden = smoothstep(HIDE_FROM, HIDE_FULL, -channels.wide) * (1 - Math.min(1, 2 * channels.raise));
  const tipUp = channels.tongue > 0.15;
  const between = channels.tongue > TIP_BETWEEN;
  if (!tipUp) drawTongue(context, style, channels, lines);
  if (hidden < 1 && channels.tuck < 0.5) drawLowerTeeth(context, style, channels, lines, hidden);
  if (tipUp && !between) drawTongue(context, style, channels, lines);
  if (hidden < 1) drawUpperTeeth(context, style, channels, lines, hidden);
  if (between) drawTongue(context, style, channels, lines);
  fillPath(context, band(lower(lines.innerUpper, -1), lower(lines.innerUpper, 2.2)), clear(style.throat, 0.1));
  context.restore();
}

function drawUpperTeeth(context: Context, style: Mouth, channels: Channels, lines: LipLines, hidden: number): void {
  const width = Math.min(style.half_width * 0.92, lines.halfWidth);
  // A tucked lip lies along the whole row; pouted lips stand out before it.
  const arc = 2.6 - 1.9 * channels.tuck;
  const end = UPPER_EDGE - hidden * (UPPER_EDGE - lines.roof);
  const edge: Point[] = T11.map((t) => [t * width, end - arc * t * t]);
  const top: Point[] = T11.map((t) => [t * width, -9]);
  const teeth = band(top, edge);
  fillPath(context, teeth, enamel(context, style, style.teeth, width));
  context.strokeStyle = clear(blend(style.throat, style.teeth, 0.5), 0.22);
  context.lineWidth = 0.45;
  context.lineCap = "round";
  for (const x of TOOTH_GAPS) {
    if (Math.abs(x) >= width * 0.95) continue;
    context.beginPath();
    context.moveTo(x, -8);
    context.lineTo(x, end - 0.6 - arc * (x / width) ** 2);
    context.stroke();
  }
  const shade: Stops = [
    [clear(style.throat, 0.4), 0],
    [clear(style.throat, 0.16), 0.4],
    [clear(style.throat, 0), 1],
  ];
  fillPath(context, teeth, linear(context, 0, lines.roof - 0.5, 0, lines.roof + 5, shade));
}

function drawLowerTeeth(context: Context, style: Mouth, channels: Channels, lines: LipLines, hidden: number): void {
  const width = Math.min(style.half_width * 0.66, lines.halfWidth * 0.86);
  const highest = LOWER_EDGE + 0.92 * JAW * channels.jaw + 4.5 * channels.low + 8 * hidden;
  // Less than a row's edge would glint along the lip like a scratch.
  const seen = Math.min(lines.floor - highest, 1.8 * (lines.floor - highest - MIN_LOWER_ROW));
  if (seen <= 0) return;
  const top = lines.floor - seen;
  const edge: Point[] = T11.map((t) => [t * width, top + 1.8 * t * t]);
  const low: Point[] = T11.map((t) => [t * width, top + 16]);
  const dimmed = blend(style.teeth, style.throat, 0.1 + 0.22 * Math.min(1, channels.jaw * 1.5));
  fillPath(context, band(edge, low), enamel(context, style, dimmed, width));
}

/** Teeth that vanish into the dark towards the corners. */
function enamel(context: Context, style: Mouth, tint: string, width: number): CanvasGradient {
  const dim = blend(tint, style.throat, 0.55);
  const side: Stops = [
    [clear(dim, 0), 0],
    [clear(dim, 0.55), 0.07],
    [blend(tint, dim, 0.5), 0.17],
    [tint, 0.32],
  ];
  const back: Stops = [...side].reverse().map(([colour, at]) => [colour, 1 - at]);
  return linear(context, -width, 0, width, 0, [...side, ...back]);
}

/** At rest behind the lower teeth; raised, its tip stands at the upper teeth. */
function drawTongue(context: Context, style: Mouth, channels: Channels, lines: LipLines): void {
  const up = channels.tongue;
  const resting = LOWER_EDGE + (0.8 * JAW - 3) * channels.jaw + 2 * channels.low;
  const top = resting * (1 - up) + (1.4 + (up > TIP_BETWEEN ? 3.4 : 0)) * up;
  const width = lines.halfWidth * (0.74 - 0.24 * up);
  const edge: Point[] = T11.map((t) => [
    t * width,
    top + (lines.floor + 5 - top) * Math.abs(t) ** 3 + 0.8 * Math.exp(-((t / 0.13) ** 2)) * (1 - up),
  ]);
  const low: Point[] = T11.map((t) => [t * width, lines.floor + 7]);
  const outline = band(edge, low);
  const stops: Stops = [
    [blend(style.tongue, "#ffffff", 0.14), 0],
    [style.tongue, 0.4],
    [blend(style.tongue, style.throat, 0.45), 1],
  ];
  fillPath(context, outline, linear(context, 0, top, 0, top + 10, stops));
  // Its shadow parts it from the lip, which has nearly its colour.
  if (up > 0.15) {
    const shade: Stops = [
      [clear(style.throat, 0), 0],
      [clear(style.throat, 0.85 * Math.min(1, 2 * up)), 1],
    ];
    fillPath(context, outline, linear(context, 0, Math.max(top, lines.floor - 3.4), 0, lines.floor, shade));
  }
}

function drawLips(context: Context, style: Mouth, lines: LipLines, pucker: number): void {
  const { roof, floor, chinSide } = lines;
  const upperStops: Stops = [
    [blend(style.upper, style.light, 0.25), 0],
    [style.upper, 0.55],
    [blend(style.upper, style.line, 0.18), 1],
  ];
  fillPath(context, band(lines.outerUpper, lines.innerUpper), linear(context, 0, roof - 9, 0, roof + 1.5, upperStops));
  const lowerStops: Stops = [
    [blend(style.lower, style.line, 0.22), 0],
    [style.lower, 0.28],
    [blend(style.lower, style.light, 0.22), 0.62],
    [blend(style.lower, style.line, 0.12), 1],
  ];
  fillPath(context, band(lines.innerLower, lines.outerLower), linear(context, 0, floor, 0, chinSide, lowerStops));
  fillSpot(context, -2, floor + (chinSide - floor) * 0.42, 10, 0.3, soft(style.light, 0.75));
  if (floor - roof < 1.2) {
    const seam: Point[] = lines.innerUpper.map(([x, y], k) => {
      const [ux, uy] = lines.innerLower[k] as Point;
      return [(x + ux) / 2, (y + uy) / 2];
    });
    fillPath(context, taper(seam, 1.3, 0.5, 0.5), style.line);
  }
  for (const sign of [-1, 1]) {
    const [x, y] = (sign < 0 ? lines.outerUpper[0] : lines.outerUpper.at(-1)) as Point;
    const dimple: Point[] = [
      [x - 2.6 * sign, y + 0.3],
      [x, y],
      [x + 1.4 * sign, y - 1],
    ];
    fillPath(context, taper(dimple, 1.5 - pucker), clear(style.line, 0.42));
  }
}
