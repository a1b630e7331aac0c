/** The answers of a call as they are heard: their sound, and the captions in time with it. */
import { Loudspeaker } from "./loudspeaker";
import { type Caption, OUTPUT_HZ } from "./wire";

/** Shorter silences between pieces of sound are none. */
const GAP_S = 0.3;
/** Sound of a stream reaches the ear so much later than its caption, which comes at the same time. */
const STREAM_DELAY_S = 0.1;
/** A caption whose sound is not heard by then is shown without. */
const LATEST_S = 0.6;

/** A sentence with the moment at which its sound begins, in seconds of the audio clock. */
export interface Cue {
  startS: number;
  caption: Caption;
}

const endOf = ({ startS, caption }: Cue) => startS + caption.duration_ms / 1000;

/** What is heard at a moment; a caption stays until the next one. */
export interface PlaybackState {
  caption?: Caption;
  speaking: boolean;
  soundBlocked: boolean;
}

export class Playback {
  /** Sentences in the order of their sound; those that were heard are dropped. */
  cues: Cue[] = [];

  private readonly loudspeaker = new Loudspeaker();
  private pending: Caption | null = null;
  /** When it came, by the audio clock. */
  private pendingS = 0;
  /** After an interruption, until the next sentence: sound that was on its way. */
  private dropping = false;
  /** When the last piece of sound ends, and until when the agent counts as speaking: pieces may come late. */
  private soundEndS = 0;
  private speakingUntilS = 0;

  get level(): number {
    return this.loudspeaker.level;
  }

  /** The time of what is heard now, in seconds of the audio clock. */
  get heardAt(): number {
    return this.loudspeaker.heardAt;
  }

  get canChoose(): boolean {
    return this.loudspeaker.canChoose;
  }

  choose(deviceId: string): Promise<void> {
    return this.loudspeaker.choose(deviceId);
  }

  resume(): Promise<void> {
    return this.loudspeaker.resume();
  }

  playStream(stream: MediaStream): void {
    this.loudspeaker.playStream(stream);
  }

  receiveCaption(caption: Caption): void {
    this.dropping = false;
    if (!this.loudspeaker.hasStream) {
      this.pending = caption;
      return;
    }
    const last = this.cues.at(-1);
    const endS = last ? endOf(last) : 0;
    // A sentence that follows another one begins with the end of that one; the first one when it is heard.
    if (endS > this.heardAt) this.cues.push({ startS: Math.max(endS, this.heardAt + STREAM_DELAY_S), caption });
    else [this.pending, this.pendingS] = [caption, this.heardAt];
    this.loudspeaker.listen();
  }

  receiveSound(piece: ArrayBuffer): void {
    if (this.dropping) return;
    const startS = this.loudspeaker.play(piece);
    const lateS = startS - this.soundEndS;
    this.soundEndS = startS + piece.byteLength / 2 / OUTPUT_HZ;
    const current = this.cues.at(-1);
    if (this.pending) this.begin(startS);
    // A piece that came late moves the rest of its sentence, and the mouth with it.
    else if (current && lateS > 0.001) current.startS += lateS;
  }

  /** Returns what is heard now. A sentence ends with its sound, not with the server's word. */
  read(): PlaybackState {
    const now = this.heardAt;
    const { isPlaying, hasStream, isBlocked } = this.loudspeaker;
    if (hasStream && (isPlaying || now > this.pendingS + LATEST_S)) this.begin(now);
    while (this.cues[0] && now > endOf(this.cues[0]) + 0.3) this.cues.shift();
    const cue = this.cues.findLast((one) => one.startS <= now);
    if (isPlaying) this.speakingUntilS = now + GAP_S;
    const speaking = now < this.speakingUntilS || (cue !== undefined && now < endOf(cue));
    return { ...(cue && { caption: cue.caption }), speaking, soundBlocked: isBlocked };
  }

  /** Drops what is heard and what is on its way. */
  stop(): void {
    this.loudspeaker.stop();
    this.speakingUntilS = 0;
    this.cues = [];
    this.pending = null;
    this.dropping = true;
  }

  close(): void {
    this.loudspeaker.close();
  }

  private begin(startS: number): void {
    if (this.pending) this.cues.push({ startS, caption: this.pending });
    this.pending = null;
  }
}
