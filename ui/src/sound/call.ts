/** A voice session as a page sees it: line, microphone, loudspeaker, captions. It needs no framework.
 *
 * Whoever shows it subscribes, and reads `view` when it changes; levels and cues are read for each picture. */

import { t } from "@lingui/core/macro";
import { type Line, type LineEvents, noLine, openLine } from "./line";
import type { Microphone, NoMicrophone } from "./microphone";
import { type Cue, Playback, type PlaybackState } from "./playback";
import { type CallError, type CallView, OFF } from "./view";
import { ENDED, type PersonMessage, type ServerMessage, TAKEN_OVER } from "./wire";

/** As long as the server keeps a session whose person has gone. */
const RECONNECT_MS = 60_000;
const LONGEST_PAUSE_MS = 5000;

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

const NO_CUES: readonly Cue[] = [];
export type TurnListener = (sessionId: string, turn: number, utterance: string) => void;

export class Call {
  view: CallView = OFF;

  private listeners = new Set<() => void>();
  private turnListeners = new Set<TurnListener>();
  private line: Line | null = null;
  private microphone: Microphone | null = null;
  private playback: Playback | null = null;
  private presenter = "";
  private video = false;
  private withoutVideo = false;
  private utterance = "";
  private devices = { microphone: "", loudspeaker: "" };
  private ticking = 0;
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
    return this.playback?.level ?? 0;
  }

  /** The sentences that are heard or follow. */
  get cues(): readonly Cue[] {
    return this.playback?.cues ?? NO_CUES;
  }

  /** The time of what is heard now, in seconds of the audio clock. */
  get heardAt(): number {
    return this.playback?.heardAt ?? 0;
  }

  get canChooseLoudspeaker(): boolean {
    return this.playback?.canChoose ?? ("AudioContext" in globalThis && "setSinkId" in AudioContext.prototype);
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
    this.playback = new Playback();
    void this.playback.resume().catch(() => undefined);
    if (this.devices.loudspeaker) void this.playback.choose(this.devices.loudspeaker).catch(() => undefined);
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
    await this.playback?.resume();
    this.show({ soundBlocked: false });
  }

  async chooseMicrophone(deviceId: string): Promise<void> {
    this.devices.microphone = deviceId;
    if (this.view.phase !== "off") await this.openMicrophone();
  }

  async chooseLoudspeaker(deviceId: string): Promise<void> {
    this.devices.loudspeaker = deviceId;
    await this.playback?.choose(deviceId);
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
      onSound: (piece) => call === this.number && this.playback?.receiveSound(piece),
      onStream: (stream) => call === this.number && this.playback?.playStream(stream),
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
        this.playback?.receiveCaption(message);
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

  private tick = (): void => {
    this.ticking = 0;
    if (!this.playback) return;
    const { view } = this;
    const now = this.playback.read();
    if (Object.entries(now).some(([name, value]) => view[name as keyof PlaybackState] !== value)) this.show(now);
    this.ticking = window.setTimeout(this.tick, 40);
  };

  private silence(): void {
    this.playback?.stop();
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
    this.playback?.close();
    this.playback = null;
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
