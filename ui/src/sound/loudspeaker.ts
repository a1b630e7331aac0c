/** Plays pieces of sound one after the other by the audio clock, and stops at once. */
import { OUTPUT_HZ } from "./wire";

/** So much sound is held back at the start of a sentence, for pieces that come late. */
const LEAD_S = 0.06;
const FADE_S = 0.03;

export class Loudspeaker {
  private readonly context: AudioContext;
  private readonly analyser: AnalyserNode;
  private readonly samples: Float32Array<ArrayBuffer>;
  private gain: GainNode;
  private playing = new Set<AudioBufferSourceNode>();
  private end = 0;
  private stream: MediaStreamAudioSourceNode | null = null;

  constructor() {
    this.context = new AudioContext({ sampleRate: OUTPUT_HZ, latencyHint: "interactive" });
    this.analyser = new AnalyserNode(this.context, { fftSize: 1024 });
    this.samples = new Float32Array(this.analyser.fftSize);
    this.analyser.connect(this.context.destination);
    this.gain = this.createGain();
  }

  /** The time of the sound that is heard now, in seconds of the audio clock: what is drawn follows it. */
  get heardAt(): number {
    return this.context.currentTime - (this.context.outputLatency || this.context.baseLatency || 0);
  }

  /** Loudness of the sound that plays now, 0 to 1. */
  get level(): number {
    if (this.playing.size === 0 && !this.stream) return 0;
    this.analyser.getFloatTimeDomainData(this.samples);
    let sum = 0;
    for (const sample of this.samples) sum += sample * sample;
    return loudness(Math.sqrt(sum / this.samples.length));
  }

  get isPlaying(): boolean {
    return this.playing.size > 0 || (this.stream !== null && this.level > 0);
  }

  get hasStream(): boolean {
    return this.stream !== null;
  }

  /** Whether the browser holds the sound back until somebody taps. */
  get isBlocked(): boolean {
    return this.context.state === "suspended";
  }

  async resume(): Promise<void> {
    await this.context.resume();
  }

  /** Queues a piece of 16-bit PCM; returns when it is heard, in seconds of the audio clock. */
  play(piece: ArrayBuffer): number {
    const pcm = new Int16Array(piece);
    const buffer = this.context.createBuffer(1, Math.max(1, pcm.length), OUTPUT_HZ);
    buffer.getChannelData(0).set(Float32Array.from(pcm, (sample) => sample / 32768));
    const source = new AudioBufferSourceNode(this.context, { buffer });
    source.connect(this.gain);
    source.onended = () => this.playing.delete(source);
    const at = this.end > this.context.currentTime ? this.end : this.context.currentTime + LEAD_S;
    source.start(at);
    this.playing.add(source);
    this.end = at + buffer.duration;
    return at;
  }

  /** Plays a stream from now on, in place of one before; `stop` silences it until `listen`. */
  playStream(stream: MediaStream): void {
    this.stream?.disconnect();
    // Chromium decodes a stream only when an element has it.
    const element = new Audio();
    element.muted = true;
    element.srcObject = stream;
    this.stream = this.context.createMediaStreamSource(stream);
    this.stream.connect(this.gain);
  }

  /** Lets the stream be heard after `stop`. */
  listen(): void {
    this.stream?.connect(this.gain);
  }

  /** Fades out what plays and drops what waits. */
  stop(): void {
    const { gain, playing } = this;
    const until = this.context.currentTime + FADE_S;
    gain.gain.setValueAtTime(gain.gain.value, this.context.currentTime);
    gain.gain.linearRampToValueAtTime(0, until);
    for (const source of playing) source.stop(until);
    this.playing = new Set();
    this.end = 0;
    this.gain = this.createGain();
    const { stream } = this;
    if (stream) setTimeout(() => stream.disconnect(gain), 1000 * FADE_S);
  }

  get canChoose(): boolean {
    return "setSinkId" in this.context;
  }

  /** Plays on another device, "" for the system's. */
  async choose(deviceId: string): Promise<void> {
    const context = this.context as AudioContext & { setSinkId?: (id: string) => Promise<void> };
    await context.setSinkId?.(deviceId);
  }

  close(): void {
    void this.context.close();
  }

  private createGain(): GainNode {
    const gain = new GainNode(this.context);
    gain.connect(this.analyser);
    return gain;
  }
}

/** Maps a root mean square (full scale 1) to 0..1 on a scale of 50 dB. */
export const loudness = (rms: number): number => Math.max(0, Math.min(1, 1 + (20 * Math.log10(rms + 1e-6) + 6) / 50));
