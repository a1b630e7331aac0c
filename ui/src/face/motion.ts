/** What a face does: it breathes, blinks and looks, listens, thinks and speaks; on the clock of the sound. */
import { clamp, glide } from "./geometry";
import moods from "./motion.json";
import { type MouthCurves, mouthCurves, readMouth, type TimedViseme } from "./mouthCurves";
import { type Channels, rest } from "./pose";

export type FaceState = "idle" | "listening" | "thinking" | "speaking";
export type Mood = keyof typeof moods.moods;

/** A sentence with what is known of its sound; times from its start. */
export interface Sentence {
  duration_ms: number;
  words: readonly { text: string; start_ms: number; end_ms: number }[];
  visemes: readonly TimedViseme[];
  level?: readonly number[];
  emotion?: string;
  intensity?: number;
}

const MOODS = moods.mood_of_emotion as Record<string, Mood>;
const CHANGE_S = 0.7;
/** The face closes its mouth in this time when it is interrupted. */
const CLOSE_S = 0.1;
const STATE_S = 0.5;
const NOD_DEG = 1.6;
const NOD_SIGMA_S = 0.13;
const BREATH_HZ = 0.27;
const COUNTER_ROTATION = 0.8;
const DEGREES_PER_GAZE = 9.9;

interface Bump {
  atS: number;
  height: number;
  sigmaS: number;
}

interface Spoken {
  durationS: number;
  curves: MouthCurves;
  nods: Bump[];
  brows: Bump[];
}

/** Offsets per state: a head that listens leans in, one that thinks looks up and aside. */
const STATES: Record<FaceState, Partial<Channels>> = moods.states;

export class Motion {
  mood: Mood = "neutral";
  private spoken = new Map<object, Spoken>();
  private offsets = new Map<keyof Channels, number>();
  private shown = rest();
  private nextBlinkS = 1.5;
  private blinkS = -1;
  private gaze = { atS: 0, x: 0, y: 0 };
  private lively = 0.6;
  /** Since the last sound. */
  private silentS = 0;

  /** `calm`: whoever asks for less motion sees lips and lids only. */
  constructor(public calm = false) {}

  /** The face at `nowS` of its own clock, `dt` after the last time; `cues` begin at `startS` of the sound's, `heardAt`. */
  follow(
    nowS: number,
    dt: number,
    state: FaceState,
    cues: readonly { startS: number; caption: Sentence }[],
    heardAt: number,
  ): Channels {
    const channels = rest();
    const cue = cues.findLast((one) => one.startS <= heardAt + 0.1);
    this.prune(cues);
    if (cue) {
      this.mood = MOODS[cue.caption.emotion ?? ""] ?? "neutral";
      this.speak(channels, this.spokenOf(cue), heardAt - cue.startS);
    } else if (state !== "speaking") this.mood = "neutral";
    this.closeMouth(channels, cue !== undefined, dt);
    if (!this.calm) this.move(channels, nowS, dt, state);
    this.express(channels, dt, state, cue?.caption.intensity ?? 0.6);
    this.blink(channels, nowS);
    this.shown = channels;
    return channels;
  }

  private spokenOf(cue: { startS: number; caption: Sentence }): Spoken {
    const known = this.spoken.get(cue);
    if (known) return known;
    const { caption } = cue;
    const spoken: Spoken = {
      durationS: caption.duration_ms / 1000,
      curves: mouthCurves(caption.visemes, caption.level ?? [], caption.duration_ms),
      ...accents(caption),
    };
    this.spoken.set(cue, spoken);
    return spoken;
  }

  private prune(cues: readonly object[]): void {
    for (const cue of this.spoken.keys()) if (!cues.includes(cue)) this.spoken.delete(cue);
  }

  private speak(channels: Channels, spoken: Spoken, seconds: number): void {
    if (seconds <= spoken.durationS) readMouth(spoken.curves, seconds, channels);
    if (this.calm) return;
    channels.pitch_deg += bumps(spoken.nods, seconds);
    channels.brow += bumps(spoken.brows, seconds);
  }

  /** From wherever an interruption left it, in a straight line. */
  private closeMouth(channels: Channels, isSpeaking: boolean, dt: number): void {
    const pending = CLOSE_S - this.silentS;
    this.silentS = isSpeaking ? 0 : this.silentS + dt;
    if (isSpeaking) return;
    const left = pending > 0 ? Math.max(0, 1 - dt / pending) : 0;
    for (const name of ["jaw", "low", "raise", "press", "tuck", "wide", "tongue"] as const)
      channels[name] = Math.abs(this.shown[name]) < 0.01 ? 0 : this.shown[name] * left;
  }

  private move(channels: Channels, nowS: number, dt: number, state: FaceState): void {
    const target = (state === "speaking" ? 1.1 : 0.6) * moods.moods[this.mood].lively;
    this.lively += (target - this.lively) * Math.min(1, dt / 0.8);
    channels.yaw_deg += 2.9 * this.lively * wander(nowS, 0);
    channels.pitch_deg += 1.4 * this.lively * wander(nowS, 1);
    channels.roll_deg += 1.0 * this.lively * wander(nowS, 2) + 0.18 * channels.yaw_deg;
    channels.sway += 0.42 * wander(0.7 * nowS, 3);
    channels.brow += 0.08 * wander(1.3 * nowS, 4);
    const phase = (nowS * BREATH_HZ) % 1;
    channels.breath =
      phase < 0.4 ? 0.5 - 0.5 * Math.cos((Math.PI * phase) / 0.4) : 0.5 + 0.5 * Math.cos((Math.PI * (phase - 0.4)) / 0.6);
    if (nowS >= this.gaze.atS) {
      const aside = state !== "listening" && Math.random() < 0.3;
      const reach = aside ? 0.3 : 0.06;
      this.gaze = {
        atS: nowS + (aside ? 0.55 : 1.5) * Math.exp(0.5 * normal()),
        x: reach * normal(),
        y: 0.5 * reach * normal(),
      };
    }
    // Eyes that keep looking at the viewer turn against the head (the vestibulo-ocular reflex).
    channels.gaze_x = clamp(this.gaze.x - (COUNTER_ROTATION * channels.yaw_deg) / DEGREES_PER_GAZE, -0.8, 0.8);
    channels.gaze_y = clamp(this.gaze.y - (COUNTER_ROTATION * channels.pitch_deg) / DEGREES_PER_GAZE, -0.8, 0.8);
  }

  /** Mood and state, each reached within its time. */
  private express(channels: Channels, dt: number, state: FaceState, intensity: number): void {
    const mood: Record<string, number> = moods.moods[this.mood];
    const strength = clamp(0.5 + 0.7 * intensity, 0, 1);
    for (const name of ["smile", "lid", "brow", "brow_tilt", "pitch_deg", "yaw_deg", "roll_deg", "gaze_x", "gaze_y"] as const) {
      const isAngle = name.endsWith("_deg") || name.startsWith("gaze");
      const ofState = this.calm && isAngle ? 0 : (STATES[state][name] ?? 0);
      const ofMood = this.calm && isAngle ? 0 : strength * (mood[name] ?? 0);
      const before = this.offsets.get(name) ?? 0;
      const now = before + (ofState + ofMood - before) * Math.min(1, dt / (isAngle ? STATE_S : CHANGE_S / 2));
      this.offsets.set(name, now);
      channels[name] += now;
    }
    for (const name of ["smile", "lid", "brow", "brow_tilt", "gaze_x", "gaze_y"] as const)
      channels[name] = clamp(channels[name], -1, 1);
  }

  private blink(channels: Channels, nowS: number): void {
    if (nowS >= this.nextBlinkS) {
      this.blinkS = nowS + 0.095;
      this.nextBlinkS = nowS + (Math.random() < 0.12 ? 0.4 : clamp(2.9 * Math.exp(0.45 * normal()), 0.7, 9));
    }
    const away = nowS - this.blinkS;
    channels.blink = away < 0 ? glide((away + 0.095) / 0.075) : 1 - glide((away - 0.02) / 0.17);
  }
}

/** Nods and raised brows on some longer words, and at a question's end. */
function accents(sentence: Sentence): { nods: Bump[]; brows: Bump[] } {
  const nods: Bump[] = [];
  const brows: Bump[] = [];
  let last = -1;
  for (const word of sentence.words) {
    const atS = word.start_ms / 1000 + 0.12;
    const size = 0.7 + 0.6 * Math.random();
    if (word.text.replace(/\W/g, "").length > 3) {
      if (atS - last > 0.55 && Math.random() < 0.7) {
        nods.push({ atS, height: NOD_DEG * size, sigmaS: NOD_SIGMA_S });
        last = atS;
      }
      if (Math.random() < 0.3) brows.push({ atS: atS - 0.04, height: 0.45 * size, sigmaS: 0.2 });
    }
    if (/[?？؟]["')»”’]*$/.test(word.text)) brows.push({ atS: word.end_ms / 1000, height: 0.7, sigmaS: 0.3 });
  }
  return { nods, brows };
}

const bumps = (all: readonly Bump[], seconds: number): number =>
  all.reduce((sum, { atS, height, sigmaS }) => sum + height * Math.exp(-0.5 * ((seconds - atS) / sigmaS) ** 2), 0);

/** Slow motion of about unit variance, without beginning or end. */
function wander(seconds: number, stream: number): number {
  let sum = 0;
  for (const [k, hz] of [0.11, 0.19, 0.31, 0.53].entries())
    sum += Math.sin(2 * Math.PI * (hz * (1 + 0.07 * stream) * seconds + 0.37 * stream * (k + 1) + 0.21 * k)) / (1 + 0.35 * k);
  return 0.85 * sum;
}

const normal = (): number => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
