/** A drawn character as the worker describes it (bench/face_description.py). */
import type { Stops } from "./geometry";

export type Fill = string | { line: number[]; stops: Stops } | { circle: number[]; stops: Stops };

export interface Piece {
  /** Bézier control points, x and y in turn. */
  contours: number[][];
  fill: Fill;
  open?: boolean;
  stroke?: number;
  lift?: number;
  depth?: number;
  swing?: number;
  jaw?: number;
}

export interface Skin {
  light: string;
  base: string;
  shade: string;
  deep: string;
  blush: string;
  line: string;
}

export interface Eyes {
  iris: string;
  iris_dark: string;
  iris_light: string;
  lash: string;
  lid: string;
  height: number;
  tilt: number;
  iris_radius: number;
  lashes: number;
  line: number;
  crease: string;
  sclera: string;
}

export interface Brows {
  colour: string;
  thickness: number;
  arch: number;
  y: number;
  length: number;
}

export interface Mouth {
  upper: string;
  lower: string;
  line: string;
  light: string;
  half_width: number;
  upper_height: number;
  lower_height: number;
  smile: number;
  fold: number;
  y: number;
  teeth: string;
  tongue: string;
  throat: string;
}

type Part = "behind" | "hair_back" | "neck" | "body" | "ears" | "face" | "nose" | "glasses" | "hair_front";

export interface Character {
  name: string;
  top: number;
  parts: Record<Part, Piece[]>;
  skin: Skin;
  eyes: Eyes;
  brows: Brows;
  mouth: Mouth;
  backdrop: { wall: Stops; glow: string };
}

const FILES = import.meta.glob<Character>("./characters/*.json", { import: "default" });

/** The presenter's description; null for one that is not drawn, or drawn from a design of one's own. */
export async function loadCharacter(presenter: string): Promise<Character | null> {
  return (await FILES[`./characters/${presenter}.json`]?.()) ?? null;
}
