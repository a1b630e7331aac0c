/** Plays one file of sound from a moment on, by the audio clock; one at a time in a page. */

const FADE_S = 0.02;

export class Clip {
  private static context: AudioContext | null = null;
  private static playing: Clip | null = null;
  private source: AudioBufferSourceNode | null = null;
  private gain: GainNode | null = null;
  private startedAt = 0;
  private onEnd = () => {};

  private constructor(private readonly buffer: AudioBuffer) {}

  /** Decodes a WAV file. Browsers let sound begin only after a press: call it from one. */
  static async decode(file: ArrayBuffer): Promise<Clip> {
    Clip.context ??= new AudioContext();
    return new Clip(await Clip.context.decodeAudioData(file));
  }

  /** Milliseconds from the start of the sound that is heard now; null when it does not play. */
  get position(): number | null {
    const context = Clip.context;
    if (!this.source || !context) return null;
    return 1000 * Math.max(0, context.currentTime - (context.outputLatency || 0) - this.startedAt);
  }

  /** Plays from a moment in milliseconds; `onEnd` is called when it has ended, was stopped, or another plays. */
  async play(from: number, onEnd: () => void): Promise<void> {
    Clip.playing?.stop();
    const context = Clip.context as AudioContext;
    if (context.state === "suspended") await context.resume();
    const source = new AudioBufferSourceNode(context, { buffer: this.buffer });
    const gain = new GainNode(context);
    source.connect(gain).connect(context.destination);
    source.onended = () => this.source === source && this.end();
    source.start(0, from / 1000);
    Object.assign(this, { source, gain, startedAt: context.currentTime - from / 1000, onEnd });
    Clip.playing = this;
  }

  stop(): void {
    if (!this.source || !Clip.context) return;
    const end = Clip.context.currentTime + FADE_S;
    this.gain?.gain.linearRampToValueAtTime(0, end);
    this.source.stop(end);
    this.end();
  }

  private end(): void {
    this.source = null;
    if (Clip.playing === this) Clip.playing = null;
    this.onEnd();
  }
}
