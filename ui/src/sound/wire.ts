/** Messages of a voice session's socket, as docs/guide/voice.md lists them. */
import type { BrainEvent } from "../api/client";

export const OUTPUT_HZ = 24_000;
/** The server ended the session, or the same person opened it elsewhere: no reason to connect again. */
export const ENDED = 4000;
export const TAKEN_OVER = 4001;

export type VoiceState = "waiting" | "listening" | "thinking" | "speaking";

export interface Caption {
  text: string;
  duration_ms: number;
  words: { text: string; start_ms: number; end_ms: number }[];
  visemes: { viseme: string; start_ms: number; end_ms: number }[];
  emotion?: string;
  intensity?: number;
}

export type ServerMessage =
  | { type: "ready"; session_id: string }
  | { type: "state"; state: VoiceState; muted: boolean; recorded?: boolean }
  | { type: "partial"; text: string }
  | { type: "transcript"; text: string; confidence: number }
  | { type: "unclear"; text: string; choices?: string[] }
  | { type: "event"; event: BrainEvent }
  | ({ type: "caption" } & Caption)
  | { type: "stop" }
  | { type: "error"; code: string; message: string; hint: string }
  /** On a data channel, which has no code of its own for its end. */
  | { type: "closed"; code: number };

export type PersonMessage = { type: "interrupt" } | { type: "mute"; muted: boolean } | { type: "say"; text: string };
