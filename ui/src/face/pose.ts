/** Head and torso in one picture (avatar/engines/rig/pose.py and torso.py). */
import { type Context, clamp, type Point, smoothstep } from "./geometry";

/** The channels of `avatar.tracks`, with their signs and units. */
export const CHANNELS = [
  "jaw",
  "low",
  "raise",
  "press",
  "tuck",
  "wide",
  "tongue",
  "skew",
  "blink",
  "gaze_x",
  "gaze_y",
  "brow",
  "yaw_deg",
  "pitch_deg",
  "roll_deg",
  "sway",
  "breath",
  "smile",
  "lid",
  "brow_tilt",
] as const;
export type Channel = (typeof CHANNELS)[number];
export type Channels = Record<Channel, number>;

export const rest = (): Channels => Object.fromEntries(CHANNELS.map((name) => [name, 0])) as Channels;

const HEAD_RADIUS = [92, 178, 78] as const;
const HEAD_CENTRE_Y = 12;
const NECK_PIVOT: Point = [0, 122];
const SWAY_HEAD = 3;
const NECK_BASE_Y = 172;
const TORSO_YAW = 0.42;
const TURN_PIVOT_Y = 60;
export const CHIN_DROP = 13;

const CHEST_DEPTH = 62;
const CHEST_HALF_WIDTH = 245;
const HIPS_Y = 640;
const BREATH_LIFT = 3.4;
const BREATH_WIDEN = 0.012;
const DEG = Math.PI / 180;

/** Depth of the head's surface before the ears; 0 outside the head. */
export function surface(x: number, y: number): number {
  const [rx, ry, rz] = HEAD_RADIUS;
  return rz * Math.sqrt(clamp(1 - (x / rx) ** 2 - ((y - HEAD_CENTRE_Y) / ry) ** 2, 0, 1));
}

export const jawWeight = (y: number): number => smoothstep(38, 110, y);

export class Pose {
  readonly torsoYaw: number;
  readonly lean: number;
  private readonly cosYaw: number;
  private readonly sinYaw: number;
  private readonly cosPitch: number;
  private readonly sinPitch: number;

  /** `swing`: how far hair trails behind the head. */
  constructor(
    readonly channels: Channels,
    readonly swing = 0,
    torso?: { yaw: number; lean: number },
  ) {
    this.cosYaw = Math.cos(channels.yaw_deg * DEG);
    this.sinYaw = Math.sin(channels.yaw_deg * DEG);
    this.cosPitch = Math.cos(channels.pitch_deg * DEG);
    this.sinPitch = Math.sin(channels.pitch_deg * DEG);
    this.torsoYaw = (torso?.yaw ?? TORSO_YAW * channels.yaw_deg) * DEG;
    this.lean = (torso?.lean ?? leanOf(channels)) * DEG;
  }

  /** Yaw and pitch of a point at a depth: an orthographic view of the turned head. */
  turn(x: number, y: number, depth: number): Point {
    return [x * this.cosYaw + depth * this.sinYaw, TURN_PIVOT_Y + (y - TURN_PIVOT_Y) * this.cosPitch + depth * this.sinPitch];
  }

  /** Transforms the canvas to coordinates with their origin at (x, y) on the turned head: for small parts. */
  plate(context: Context, x: number, y: number, extra = 0): void {
    const step = 4;
    const [ox, oy] = this.turn(x, y, surface(x, y) + extra);
    const [ux, uy] = this.turn(x + step, y, surface(x + step, y) + extra);
    const [vx, vy] = this.turn(x, y + step, surface(x, y + step) + extra);
    context.transform((ux - ox) / step, (uy - oy) / step, (vx - ox) / step, (vy - oy) / step, ox, oy);
  }

  /** Roll, sway and breath of the whole head, on the shoulders that carry it: an affine map a, b, c, d, e, f. */
  get head(): [number, number, number, number, number, number] {
    const angle = this.channels.roll_deg * DEG;
    const [px, py] = NECK_PIVOT;
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    const [bx, by] = this.moveTorso(0, NECK_BASE_Y);
    const dx = bx + SWAY_HEAD * this.channels.sway;
    const dy = 0.8 * (by - NECK_BASE_Y);
    return [cos, sin, -sin, cos, px - cos * px + sin * py + dx, py - sin * px - cos * py + dy];
  }

  /** Where a point of the body lies. */
  moveTorso(x: number, y: number): Point {
    const { breath } = this.channels;
    const depth = CHEST_DEPTH * Math.sqrt(clamp(1 - (x / CHEST_HALF_WIDTH) ** 2, 0, 1));
    const lift = smoothstep(26, 130, Math.abs(x)) * (1 - smoothstep(250, 470, y));
    const rise = 0.35 * (1 - smoothstep(200, 520, y));
    const wider = x * Math.exp(-(((y - 290) / 95) ** 2));
    const ox = x * Math.cos(this.torsoYaw) + depth * Math.sin(this.torsoYaw) + BREATH_WIDEN * breath * wider;
    const oy = y - BREATH_LIFT * breath * (lift + rise);
    const [cos, sin] = [Math.cos(this.lean), Math.sin(this.lean)];
    return [ox * cos - (oy - HIPS_Y) * sin, HIPS_Y + ox * sin + (oy - HIPS_Y) * cos];
  }
}

const leanOf = (channels: Channels): number => channels.sway + 0.16 * channels.roll_deg;

/** Torso and hair follow the head as damped springs. */
export class Body {
  private readonly hair = new Spring(60, 9);
  private readonly yaw = new Spring(30, 9);
  private readonly lean = new Spring(22, 8);

  follow(channels: Channels, dt: number): Pose {
    const target = 0.9 * channels.yaw_deg + 1.4 * channels.roll_deg + 5 * channels.sway;
    const swing = clamp(1.25 * (this.hair.follow(target, dt) - target), -12, 12);
    const torso = {
      yaw: this.yaw.follow(TORSO_YAW * channels.yaw_deg, dt),
      lean: this.lean.follow(leanOf(channels), dt),
    };
    return new Pose(channels, swing, torso);
  }
}

class Spring {
  private place: number | null = null;
  private speed = 0;

  constructor(
    private readonly stiffness: number,
    private readonly damping: number,
  ) {}

  follow(target: number, dt: number): number {
    this.place ??= target;
    const step = Math.min(dt, 0.1) / 4;
    for (let k = 0; k < 4; k++) {
      this.speed += (this.stiffness * (target - this.place) - this.damping * this.speed) * step;
      this.place += this.speed * step;
    }
    return this.place;
  }
}
