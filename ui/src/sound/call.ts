/** A voice session as a page sees it: line, microphone, loudspeaker, captions. It needs no framework.
 *
 * Whoever shows it subscribes, and reads `view` when it changes; levels and cues are read for each picture. */

import { t } from "@lingui/core/macro";
import { type Line, type LineEvents, noLine, openLine } from "./line";
import { Loudspeaker } from "./loudspeaker";
import type { Microphone, NoMicrophone, Refusal } from "./microphone";
import { type Caption, ENDED, OUTPUT_HZ, type PersonMessage, type ServerMessage, TAKEN_OVER, type VoiceState } from "./wire";

/** As long as the server keeps a session whose person has gone. */
const RECONNECT_MS = 60_000;
const LONGEST_PAUSE_MS = 5000;
/** Shorter silences between pieces of sound are none. */
const GAP_S = 0.3;
/** Sound of a stream reaches the ear so much later than its caption, which comes at the same time. */
const STREAM_DELAY_S = 0.1;
/** A caption whose sound is not heard by then is shown without. */
const LATEST_S = 0.6;

export type MicrophoneState = "off" | "on" | Refusal;

export interface Opened {
  session_id: string;
  url: string;
  token: string;
  /** With a room, whose server is at `url`: joins it. */
  join?: (opened: Opened, events: LineEvents) => Promise<Line>;
  /** Opens the same session in another way, where this one does not reach the server. */
  otherwise?: () => Promise<Opened>;
  /** With WebRTC: answers a session description. Without it `url` is that of a WebSocket. */
  offer?: (sdp: string) => Promise<string>;
  ice_servers: readonly string[];
  /** The presenter comes as a video. */
  video: boolean;
}

/** What a call needs of its surroundings. */
export interface CallPort {
  /** Opens the session, or comes back to it; throws an error with code, message and hint. */
  open: (presenter: string, sessionId: string | null, video: boolean) => Promise<Opened>;
  end: (sessionId: string) => Promise<void>;
}

export interface CallError {
  code: string;
  message: string;
  hint: string;
}

export interface CallView {
  phase: "off" | "opening" | "on" | "reconnecting";
  sessionId: string;
  state: VoiceState;
  microphone: MicrophoneState;
  muted: boolean;
  /** A video of it is being recorded. */
  recorded: boolean;
  /** The microphone is open only while a button is held. */
  holdToTalk: boolean;
  held: boolean;
  /** Pictures per second and the like are shown. */
  measures: boolean;
  /** What the person is understood to say, and whether it is complete. */
  person: string;
  personDone: boolean;
  /** The question back, or that nothing was understood. */
  unclear: readonly string[] | null;
  /** The sentence that is heard now. */
  caption: Caption | null;
  speaking: boolean;
  /** The presenter as a video; null where the page draws one. */
  video: MediaStream | null;
  /** The browser plays no sound before somebody taps. */
  soundBlocked: boolean;
  error: CallError | null;
}

/** A sentence with the moment at which its sound begins, in seconds of the audio clock. */
export interface Cue {
  startS: number;
  caption: Caption;
}

const OFF: CallView = {
  phase: "off",
  sessionId: "",
  state: "waiting",
  microphone: "off",
  muted: false,
  recorded: false,
  holdToTalk: false,
  held: false,
  measures: false,
  person: "",
  personDone: false,
  unclear: null,
  caption: null,
  speaking: false,
  video: null,
  soundBlocked: false,
  error: null,
};

export type TurnListener = (sessionId: string, turn: number, utterance: string) => void;

export class Call {
  view: CallView = OFF;
  /** Sentences in the order of their sound; those that were heard are dropped. */
  cues: Cue[] = [];

  private listeners = new Set<() => void>();
  private turnListeners = new Set<TurnListener>();
  private line: Line | null = null;
  private microphone: Microphone | null = null;
  private loudspeaker: Loudspeaker | null = null;
  private presenter = "";
  private video = false;
  private withoutVideo = false;
  private utterance = "";
  private pendingCaption: Caption | null = null;
  /** When it came, by the audio clock. */
  private captionS = 0;
  /** After an interruption, until the next sentence: sound that was on its way. */
  private dropping = false;
  private devices = { microphone: "", loudspeaker: "" };
  private ticking = 0;
  /** When the last piece of sound ends, and until when the agent counts as speaking: pieces may come late. */
  private soundEndS = 0;
  private speakingUntilS = 0;
  /** Counts the calls: what an earlier one still awaits is of no interest. */
  private number = 0;

  constructor(private readonly port: CallPort) {}

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Tells of each turn that begins, by voice or in writing. */
  onTurn(listener: TurnListener): () => void {
    this.turnListeners.add(listener);
    return () => this.turnListeners.delete(listener);
  }

  get inputLevel(): number {
    return this.isOpenMicrophone ? (this.microphone?.level ?? 0) : 0;
  }

  get outputLevel(): number {
    return this.loudspeaker?.level ?? 0;
  }

  /** The time of what is heard now, in seconds of the audio clock. */
  get heardAt(): number {
    return this.loudspeaker?.heardAt ?? 0;
  }

  get canChooseLoudspeaker(): boolean {
    return this.loudspeaker?.canChoose ?? ("AudioContext" in globalThis && "setSinkId" in AudioContext.prototype);
  }

  get lineState(): string {
    return this.line?.state ?? "closed";
  }

  /** Whether a written sentence can be answered aloud. */
  get canSay(): boolean {
    return this.view.phase === "on" && this.view.state !== "waiting" && this.lineState === "open";
  }

  /** Begins a call, with a video of the presenter where the page cannot draw one. To be called from a click:
   * browsers play sound only then. */
  async start(presenter: string, sessionId: string, video: boolean | Promise<boolean> = false): Promise<void> {
    this.close();
    const call = ++this.number;
    this.presenter = presenter;
    this.withoutVideo = false;
    this.loudspeaker = new Loudspeaker();
    void this.loudspeaker.resume().catch(() => undefined);
    if (this.devices.loudspeaker) void this.loudspeaker.choose(this.devices.loudspeaker).catch(() => undefined);
    this.show({ ...this.off, phase: "opening" });
    const hearing = this.openMicrophone();
    try {
      this.video = await video;
      if (call !== this.number) return;
      await this.connect(call, sessionId || null);
      await hearing;
    } catch (error) {
      if (call === this.number) this.fail(error);
    }
  }

  /** Ends the call. What was said stays in the conversation. */
  async hangUp(): Promise<void> {
    const { sessionId } = this.view;
    this.close();
    this.show({ ...this.off });
    if (sessionId) await this.port.end(sessionId).catch(() => undefined);
  }

  async changePresenter(presenter: string, video = false): Promise<void> {
    // Where no video could be had, the call goes on without: it is not asked for again.
    const wants = video && !this.withoutVideo;
    const isOtherWay = wants !== this.video;
    [this.presenter, this.video] = [presenter, wants];
    const { sessionId, phase } = this.view;
    if (phase !== "on") return;
    try {
      if (!isOtherWay) await this.port.open(presenter, sessionId, wants);
      else {
        // Sound and pictures take another way from now on.
        const { line } = this;
        this.line = null;
        line?.close();
        this.silence();
        this.show({ video: null, state: "waiting" });
        // One number more: a switch that is still under way ends.
        await this.reconnect(++this.number);
      }
    } catch (error) {
      this.show({ error: errorOf(error) });
    }
  }

  /** Has a written sentence answered aloud. */
  say(text: string): void {
    this.utterance = text;
    this.silence();
    this.show({ person: text, personDone: true, unclear: null });
    this.send({ type: "say", text });
  }

  /** Neither of what was heard was said. */
  drop(): void {
    this.show({ unclear: null, person: "" });
    this.interrupt();
  }

  /** Silences the agent. */
  interrupt(): void {
    this.silence();
    this.send({ type: "interrupt" });
  }

  mute(muted: boolean): void {
    this.show({ muted });
    this.gate();
    this.send({ type: "mute", muted });
  }

  setHoldToTalk(holdToTalk: boolean): void {
    this.show({ holdToTalk, held: false });
    this.gate();
  }

  hold(held: boolean): void {
    if (held === this.view.held) return;
    if (held && this.view.speaking) this.interrupt();
    this.show({ held });
    this.gate();
  }

  /** Unblocks the sound; to be called from a click. */
  async resume(): Promise<void> {
    await this.loudspeaker?.resume();
    this.show({ soundBlocked: false });
  }

  async chooseMicrophone(deviceId: string): Promise<void> {
    this.devices.microphone = deviceId;
    if (this.view.phase !== "off") await this.openMicrophone();
  }

  async chooseLoudspeaker(deviceId: string): Promise<void> {
    this.devices.loudspeaker = deviceId;
    await this.loudspeaker?.choose(deviceId);
  }

  setMeasures(measures: boolean): void {
    this.show({ measures });
  }

  /** No call; what the person chose stays. */
  private get off(): CallView {
    const { holdToTalk, measures } = this.view;
    return { ...OFF, holdToTalk, measures };
  }

  private get isOpenMicrophone(): boolean {
    const { muted, holdToTalk, held } = this.view;
    return !muted && (!holdToTalk || held);
  }

  private async openMicrophone(): Promise<void> {
    const call = this.number;
    this.microphone?.close();
    this.microphone = null;
    try {
      // Not part of what every page loads first.
      const { Microphone } = await import("./microphone");
      const microphone = await Microphone.open(
        this.devices.microphone,
        (frame) => this.line?.sendSound(frame),
        () => this.show({ microphone: "missing" }),
      );
      if (call !== this.number) return microphone.close();
      this.microphone = microphone;
      this.gate();
      this.line?.carry(microphone.track);
      this.show({ microphone: "on" });
    } catch (error) {
      if (call === this.number) this.show({ microphone: (error as Partial<NoMicrophone>).refusal ?? "busy" });
    }
  }

  private async connect(call: number, sessionId: string | null): Promise<void> {
    const opened = await this.port.open(this.presenter, sessionId, this.video);
    if (call !== this.number) return;
    this.show({ sessionId: opened.session_id });
    const wantsVideo = this.video;
    const line = await openLine(opened, {
      onMessage: (message) => call === this.number && this.receive(message),
      onSound: (piece) => call === this.number && this.receiveSound(piece),
      onStream: (stream) => call === this.number && this.loudspeaker?.playStream(stream),
      onVideo: (video) => call === this.number && this.show({ video }),
      onClosed: (code) => {
        if (line !== this.line) return;
        this.line = null;
        this.silence();
        if (code === ENDED || code === TAKEN_OVER) {
          this.close();
          this.show({ ...this.off, ...(code === TAKEN_OVER && { error: elsewhere() }) });
        } else void this.reconnect(call);
      },
    });
    if (call !== this.number) {
      line.close();
      return;
    }
    this.line = line;
    this.withoutVideo = wantsVideo && !line.video;
    this.video = wantsVideo && !this.withoutVideo;
    if (this.microphone) line.carry(this.microphone.track);
    this.show({ phase: "on", error: null });
    if (this.view.muted) this.send({ type: "mute", muted: true });
    if (!this.ticking) this.tick();
  }

  /** Comes back to the same session, for as long as the server keeps it. */
  private async reconnect(call: number): Promise<void> {
    if (this.view.phase !== "on") return;
    this.show({ phase: "reconnecting", state: "waiting", video: null });
    const limit = Date.now() + RECONNECT_MS;
    for (let pause = 500; call === this.number && Date.now() < limit; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      try {
        await this.connect(call, this.view.sessionId);
        return;
      } catch (error) {
        if (!isTransient(error)) {
          this.fail(error);
          return;
        }
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
    if (call === this.number) this.fail(noLine());
  }

  private receive(message: ServerMessage): void {
    switch (message.type) {
      case "state":
        this.show({ state: message.state, muted: message.muted, recorded: message.recorded ?? false });
        break;
      case "partial":
        this.show({ person: message.text, personDone: false, unclear: null });
        break;
      case "transcript":
        this.utterance = message.text;
        this.show({ person: message.text, personDone: true, unclear: null });
        break;
      case "unclear":
        this.show({ person: "", personDone: true, unclear: message.choices ?? (message.text ? [message.text] : []) });
        break;
      case "event":
        if (message.event.type === "turn")
          for (const listener of this.turnListeners) listener(message.event.session_id, message.event.turn, this.utterance);
        break;
      case "caption":
        this.receiveCaption(message);
        break;
      case "stop":
        this.silence();
        break;
      case "error":
        // A presenter who cannot be shown is not left standing as somebody else.
        this.show({ error: message, ...(message.code.startsWith("voice.face_") && { video: null }) });
        break;
    }
  }

  private receiveCaption(caption: Caption): void {
    this.dropping = false;
    if (!this.loudspeaker?.hasStream) {
      this.pendingCaption = caption;
      return;
    }
    const last = this.cues.at(-1);
    const endS = last ? last.startS + last.caption.duration_ms / 1000 : 0;
    // A sentence that follows another one begins with the end of that one; the first one when it is heard.
    if (endS > this.heardAt) this.cues.push({ startS: Math.max(endS, this.heardAt + STREAM_DELAY_S), caption });
    else [this.pendingCaption, this.captionS] = [caption, this.heardAt];
    this.loudspeaker.listen();
  }

  private receiveSound(piece: ArrayBuffer): void {
    if (this.dropping || !this.loudspeaker) return;
    const startS = this.loudspeaker.play(piece);
    const lateS = startS - this.soundEndS;
    this.soundEndS = startS + piece.byteLength / 2 / OUTPUT_HZ;
    const current = this.cues.at(-1);
    if (!this.pendingCaption) {
      // A piece that came late moves the rest of its sentence, and the mouth with it.
      if (current && lateS > 0.001) current.startS += lateS;
      return;
    }
    this.cues.push({ startS, caption: this.pendingCaption });
    this.pendingCaption = null;
  }

  /** Shows the sentence that is heard now. It ends with its sound, not with the server's word. */
  private tick = (): void => {
    this.ticking = 0;
    if (!this.loudspeaker) return;
    const now = this.heardAt;
    if (this.pendingCaption && this.loudspeaker.hasStream && (this.loudspeaker.isPlaying || now > this.captionS + LATEST_S)) {
      this.cues.push({ startS: now, caption: this.pendingCaption });
      this.pendingCaption = null;
    }
    while (this.cues[0] && now > this.cues[0].startS + this.cues[0].caption.duration_ms / 1000 + 0.3) this.cues.shift();
    const cue = this.cues.findLast((one) => one.startS <= now);
    const change: Partial<CallView> = {};
    if (cue && cue.caption !== this.view.caption) change.caption = cue.caption;
    if (this.loudspeaker.isPlaying) this.speakingUntilS = now + GAP_S;
    const isSpeaking = now < this.speakingUntilS || (cue !== undefined && now < cue.startS + cue.caption.duration_ms / 1000);
    if (isSpeaking !== this.view.speaking) change.speaking = isSpeaking;
    if (this.loudspeaker.isBlocked !== this.view.soundBlocked) change.soundBlocked = this.loudspeaker.isBlocked;
    if (Object.keys(change).length > 0) this.show(change);
    this.ticking = window.setTimeout(this.tick, 40);
  };

  private silence(): void {
    this.loudspeaker?.stop();
    this.speakingUntilS = 0;
    this.cues = [];
    this.pendingCaption = null;
    this.dropping = true;
    if (this.view.speaking) this.show({ speaking: false });
  }

  private send(message: PersonMessage): void {
    this.line?.send(message);
  }

  /** Lets the sound of the microphone pass, or not. */
  private gate(): void {
    if (this.microphone) this.microphone.track.enabled = this.isOpenMicrophone;
  }

  private fail(error: unknown): void {
    this.close();
    this.show({ ...this.off, error: errorOf(error) });
  }

  private close(): void {
    this.number++;
    clearTimeout(this.ticking);
    this.ticking = 0;
    const { line } = this;
    this.line = null;
    line?.close();
    this.microphone?.close();
    this.microphone = null;
    this.loudspeaker?.close();
    this.loudspeaker = null;
    this.soundEndS = this.speakingUntilS = 0;
    this.cues = [];
    this.pendingCaption = null;
    this.dropping = false;
  }

  private show(change: Partial<CallView>): void {
    this.view = { ...this.view, ...change };
    for (const listener of this.listeners) listener();
  }
}

const elsewhere = (): CallError => ({
  code: "page.voice_elsewhere",
  message: t`This conversation goes on in another window.`,
  hint: t`Start again to bring it back here.`,
});

/** Whether the server may answer in a moment: it is away, or its worker is. */
function isTransient(error: unknown): boolean {
  const status = (error as { status?: number }).status ?? 0;
  return status === 0 || status >= 500;
}

function errorOf(error: unknown): CallError {
  const found = error as Partial<CallError>;
  return { code: found.code ?? "page.failed", message: found.message ?? String(error), hint: found.hint ?? "" };
}
