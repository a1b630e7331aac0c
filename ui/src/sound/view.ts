/** A call as a person sees it. */
import type { Refusal } from "./microphone";
import type { Caption, VoiceState } from "./wire";

export type MicrophoneState = "off" | "on" | Refusal;

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

export const OFF: CallView = {
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
