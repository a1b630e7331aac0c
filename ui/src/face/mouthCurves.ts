/** Mouth shapes to the mouth's channels, as the worker has it (avatar/timing/articulators.py and coarticulation.py):
 * dominance functions after Cohen & Massaro (1993), a slow jaw, quick lips. */
import { clamp } from "./geometry";
import motion from "./motion.json";
import type { Channels } from "./pose";

export const CURVE_HZ = 60;
export const LEVEL_HZ = 25;
const LEAD_S = 0.02;
const REACH_S = 0.5;
const SILENCE_S = 0.12;
const CLOSE_S = 0.13;
const OPEN_S = 0.14;
const CLOSURE_RAMP_S = 0.09;
const TUCK_RAMP_S = 0.08;
const FADES = [
  [24, 22],
  [13, 12],
  [26, 26],
] as const;
const JAW_E = 0.2;
const LOW_E = 0.14;
const RAISE_E = 0.055;
const FULL_E = 0.9 * JAW_E + 0.37 * LOW_E;
const JAW_RISE_S = 0.115;
const LIPS_RISE_S = 0.06;
const CLEAR_SPEECH = 1.4;
const GAP_PER_SECOND = 4.4;
const RAISE_PER_SECOND = 6;
const TONGUE_PER_SECOND = 10;
const MIN_OPENING_E = 0.004;
const QUIET_SHARE = 0.72;

export interface TimedViseme {
  viseme: string;
  start_ms: number;
  end_ms: number;
}

type Target = (typeof motion.visemes)["sil"];
interface Shape {
  start: number;
  end: number;
  centre: number;
  isSilent: boolean;
  target: Target;
}
type Curve = Float64Array;

/** The mouth's channels, `CURVE_HZ` times a second from the start of the sound. */
export type MouthCurves = Record<"jaw" | "low" | "raise" | "press" | "tuck" | "wide" | "tongue", Curve>;

export function mouthCurves(visemes: readonly TimedViseme[], level: readonly number[], durationMs: number): MouthCurves {
  const shapes: Shape[] = visemes.map((one) => ({
    start: one.start_ms / 1000,
    end: one.end_ms / 1000,
    centre: (one.start_ms + one.end_ms) / 2000,
    isSilent: one.viseme === "sil",
    target: motion.visemes[one.viseme as "sil"] ?? motion.visemes.sil,
  }));
  const frames = Math.max(1, Math.ceil((durationMs * CURVE_HZ) / 1000));
  const curve = () => new Float64Array(frames);
  const [gap, share, raise, wide, tuck, tongue, gate, touch] = Array.from({ length: 8 }, curve) as [
    Curve,
    Curve,
    Curve,
    Curve,
    Curve,
    Curve,
    Curve,
    Curve,
  ];
  for (let frame = 0; frame < frames; frame++) {
    const t = (frame + 0.5) / CURVE_HZ + LEAD_S;
    const blended = blendAt(shapes, t);
    gate[frame] = gateAt(shapes, t);
    touch[frame] = 1 - touchAt(shapes, t, "bilabial", CLOSURE_RAMP_S);
    const energy = level.length > 0 ? levelAt(level, t - LEAD_S) : 1;
    const loud = QUIET_SHARE + (1 - QUIET_SHARE) * energy;
    gap[frame] = Math.min(1, CLEAR_SPEECH * blended.gap) * loud * (gate[frame] as number);
    share[frame] = blended.share;
    raise[frame] = blended.raise * (gate[frame] as number);
    wide[frame] = blended.wide;
    const tucked = Math.max(blended.tuck, touchAt(shapes, t, "labiodental", TUCK_RAMP_S));
    tuck[frame] = clamp(tucked * (gate[frame] as number) * Math.min(1, 4 * (touch[frame] as number)), 0, 1);
    tongue[frame] = (gate[frame] as number) > 0.01 ? blended.tongue * (gate[frame] as number) : 0;
  }
  const raised = limitSpeed(raise, RAISE_PER_SECOND / CURVE_HZ);
  const target = gap.map((one, k) => one * (JAW_E * at(share, k) + LOW_E * (1 - 0.7 * at(share, k))) + RAISE_E * at(raised, k));
  const opening = limitSpeed(smooth(target, LIPS_RISE_S), (FULL_E * GAP_PER_SECOND) / CURVE_HZ).map((one, k) => {
    const open = at(gate, k) > 0.01 ? one * at(touch, k) : 0;
    return open < MIN_OPENING_E ? 0 : open;
  });
  const jaw = smooth(
    gap.map((one, k) => one * at(share, k)),
    JAW_RISE_S,
  ).map((one) => clamp(one - 0.01, 0, 1));
  const raiseLip = raised.map((one, k) => clamp(Math.min(one, at(opening, k) / RAISE_E), 0, 1));
  const byJaw = jaw.map((one, k) => JAW_E * one + RAISE_E * at(raiseLip, k));
  return {
    jaw,
    low: opening.map((one, k) => clamp((one - at(byJaw, k)) / LOW_E, 0, 1)),
    raise: raiseLip,
    press: opening.map((one, k) => (at(byJaw, k) > one ? 1 - one / Math.max(at(byJaw, k), 1e-9) : 0)),
    tuck,
    wide: smooth(wide, LIPS_RISE_S).map((one, k) => clamp(one * (0.15 + 0.85 * at(gate, k)), -1, 1)),
    tongue: limitSpeed(tongue, TONGUE_PER_SECOND / CURVE_HZ).map((one) => clamp(one, 0, 1)),
  };
}

/** Sets the mouth's channels to those at `seconds` of the sound. */
export function readMouth(curves: MouthCurves, seconds: number, channels: Channels): void {
  const place = seconds * CURVE_HZ - 0.5;
  for (const [name, curve] of Object.entries(curves)) {
    const whole = clamp(Math.floor(place), 0, curve.length - 1);
    const next = Math.min(whole + 1, curve.length - 1);
    const share = clamp(place - whole, 0, 1);
    channels[name as keyof MouthCurves] = at(curve, whole) * (1 - share) + at(curve, next) * share;
  }
}

const at = (curve: Curve, index: number): number => curve[index] as number;

function levelAt(level: readonly number[], seconds: number): number {
  const place = clamp(seconds * LEVEL_HZ, 0, level.length - 1);
  const whole = Math.floor(place);
  const before = level[whole] ?? 0;
  return before + ((level[whole + 1] ?? before) - before) * (place - whole);
}

function blendAt(shapes: readonly Shape[], t: number) {
  const sums = { gap: 0, share: 0, raise: 0, wide: 0, tuck: 0, tongue: 0 };
  const weights = [1e-4, 1e-4, 1e-4];
  for (const { start, end, centre, target } of shapes) {
    if (t < start - REACH_S || t > end + REACH_S) continue;
    const away = Math.max(0, Math.abs(t - centre) - (end - start) / 4);
    const side = t < centre ? 0 : 1;
    const pulls = [target.hold_gap, target.hold_wide, target.hold_tip].map(
      (hold, group) => hold * Math.exp(-(FADES[group]?.[side] as number) * away),
    ) as [number, number, number];
    pulls.forEach((pull, group) => {
      weights[group] = (weights[group] as number) + pull;
    });
    sums.gap += pulls[0] * target.gap;
    sums.share += pulls[0] * target.jaw_share;
    sums.raise += pulls[0] * target.raise_lip;
    sums.wide += pulls[1] * target.wide;
    sums.tuck += pulls[2] * target.tuck;
    sums.tongue += pulls[2] * target.tongue;
  }
  const [gap, wide, tip] = weights as [number, number, number];
  return {
    gap: sums.gap / gap,
    share: sums.share / gap,
    raise: sums.raise / gap,
    wide: sums.wide / wide,
    tuck: sums.tuck / tip,
    tongue: sums.tongue / tip,
  };
}

/** 1 while somebody speaks, 0 in silences longer than 120 ms, with short ramps into them. */
function gateAt(shapes: readonly Shape[], t: number): number {
  let since = Number.POSITIVE_INFINITY;
  let until = Number.POSITIVE_INFINITY;
  for (const { start, end, isSilent } of shapes) {
    if (isSilent) {
      if (t >= start && t < end && end - start <= SILENCE_S && start > 0) return 1;
      continue;
    }
    if (t >= start && t < end) return 1;
    if (end <= t) since = Math.min(since, t - end);
    else until = Math.min(until, start - t);
  }
  const ramp = clamp(Math.max(1 - since / CLOSE_S, 1 - until / OPEN_S), 0, 1);
  return ramp * ramp * (3 - 2 * ramp);
}

/** 1 where lips or teeth touch: the middle 60 % of each such shape and the frame at its centre. */
function touchAt(shapes: readonly Shape[], t: number, kind: "bilabial" | "labiodental", rampS: number): number {
  let touch = 0;
  for (const { start, end, centre, target } of shapes) {
    if (!target[kind]) continue;
    const away = Math.abs(t - centre);
    if (away <= 0.5 / CURVE_HZ) return 1;
    touch = Math.max(touch, clamp(1 - (away - 0.3 * (end - start)) / rampS, 0, 1));
  }
  return touch;
}

/** The largest curve below `curve` that never changes by more than `step` per frame. */
function limitSpeed(curve: Curve, step: number): Curve {
  const found = curve.slice();
  for (let k = 1; k < found.length; k++) found[k] = Math.min(at(found, k), at(found, k - 1) + step);
  for (let k = found.length - 2; k >= 0; k--) found[k] = Math.min(at(found, k), at(found, k + 1) + step);
  return found;
}

/** Through a Gaussian of no delay: a sudden step takes `riseS` from 10 % to 90 %. */
function smooth(curve: Curve, riseS: number): Curve {
  const sigma = (riseS * CURVE_HZ) / 2.563;
  const reach = Math.ceil(3.5 * sigma);
  const weights = Array.from({ length: 2 * reach + 1 }, (_, k) => Math.exp(-0.5 * ((k - reach) / sigma) ** 2));
  const total = weights.reduce((sum, one) => sum + one, 0);
  return curve.map((_, k) => weights.reduce((sum, weight, j) => sum + (weight / total) * (curve[k + j - reach] ?? 0), 0));
}
