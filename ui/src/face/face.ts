/** A presenter in a canvas, who listens, thinks and speaks. It needs no framework. */
import type { Character } from "./description";
import { drawFigure, drawWall } from "./figure";
import { type FaceState, Motion, type Sentence } from "./motion";
import { Body, type Channels } from "./pose";

/** What the face follows; read for each picture. */
export interface FaceSource {
  readonly state: FaceState;
  /** Sentences whose sound begins at `startS` of the clock that `heardAt` reads. */
  readonly cues: readonly { startS: number; caption: Sentence }[];
  readonly heardAt: number;
}

/** Nobody sees more than this in breath and blinks; it saves half of the work. */
const IDLE_FPS = 24;

/** Moves a face by what it follows; those who draw it extend this. */
export abstract class MovingFace {
  /** Pictures in the last second. */
  fps = 0;
  protected readonly motion: Motion;
  private readonly calm = matchMedia("(prefers-reduced-motion: reduce)");
  private frame = 0;
  private lastMs = 0;
  private drawnMs: number[] = [];
  private channels: Channels | null = null;

  constructor(
    protected readonly canvas: HTMLCanvasElement,
    private readonly source: FaceSource,
  ) {
    this.motion = new Motion(this.calm.matches);
    this.calm.addEventListener("change", this.changeCalm);
    this.frame = requestAnimationFrame(this.tick);
  }

  get mood(): string {
    return this.motion.mood;
  }

  /** The channels of the picture that is shown, for tests and the overlay. */
  get shown(): Channels | null {
    return this.channels;
  }

  close(): void {
    cancelAnimationFrame(this.frame);
    this.calm.removeEventListener("change", this.changeCalm);
  }

  private changeCalm = (): void => {
    this.motion.calm = this.calm.matches;
  };

  private tick = (nowMs: number): void => {
    this.frame = requestAnimationFrame(this.tick);
    const { state, cues, heardAt } = this.source;
    const isBusy = state === "speaking" || cues.length > 0;
    if (!isBusy && nowMs - this.lastMs < 1000 / IDLE_FPS - 4) return;
    const dt = Math.min(0.25, (nowMs - this.lastMs) / 1000);
    this.lastMs = nowMs;
    this.channels = this.motion.follow(nowMs / 1000, dt, state, cues, heardAt);
    const dense = Math.min(2, devicePixelRatio);
    const [width, height] = [Math.round(this.canvas.clientWidth * dense), Math.round(this.canvas.clientHeight * dense)];
    if (width > 0 && height > 0) this.draw(this.channels, dt, width, height);
    this.drawnMs = [...this.drawnMs.filter((one) => one > nowMs - 1000), nowMs];
    this.fps = this.drawnMs.length;
  };

  /** Draws the face for a picture of `width` × `height` pixels, `dt` seconds after the last one. */
  protected abstract draw(channels: Channels, dt: number, width: number, height: number): void;
}

/** Opens the face of a character or, without one, of the VRM model at an address. */
export const openFace = async (
  canvas: HTMLCanvasElement,
  character: Character | null,
  model: string,
  source: FaceSource,
): Promise<MovingFace> =>
  character ? new FaceView(canvas, character, source) : (await import("./avatar")).AvatarView.open(canvas, model, source);

/** A drawn character. */
export class FaceView extends MovingFace {
  private readonly context: CanvasRenderingContext2D;
  private readonly body = new Body();

  /** Throws where the browser has no canvas: the page shows a still picture then. */
  constructor(
    canvas: HTMLCanvasElement,
    private readonly character: Character,
    source: FaceSource,
  ) {
    const context = canvas.getContext("2d", { alpha: false });
    if (!context) throw new Error("no canvas");
    super(canvas, source);
    this.context = context;
  }

  protected draw(channels: Channels, dt: number, width: number, height: number): void {
    const { canvas } = this;
    const pose = this.body.follow(channels, dt);
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    drawWall(this.context, this.character, width, height);
    drawFigure(this.context, this.character, pose, width, height);
  }
}
