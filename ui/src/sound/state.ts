/** The state of a call as a person is shown it, in words and by the face. It needs no framework. */
import type { MessageDescriptor } from "@lingui/core";
import { msg, t } from "@lingui/core/macro";
import type { FaceSource } from "../face/face";
import type { FaceState } from "../face/motion";
import type { Call } from "./call";
import type { CallView, MicrophoneState } from "./view";

export type Shown = "off" | "opening" | "reconnecting" | "waiting" | "listening" | "thinking" | "speaking" | "muted" | "writing";

/** Returns what the person is shown of a call. */
export function stateOf(view: CallView): Shown {
  if (view.phase !== "on") return view.phase;
  if (view.speaking) return "speaking";
  // The server is done a moment before the last of its sound is heard.
  const state = view.state === "speaking" ? "thinking" : view.state;
  if (state !== "listening") return state;
  if (view.microphone !== "on") return "writing";
  return view.muted ? "muted" : "listening";
}

export const WORDS: Record<Shown, MessageDescriptor> = {
  off: msg`Press the button and speak`,
  opening: msg`One moment`,
  reconnecting: msg`The connection was lost. Coming back …`,
  waiting: msg`Waiting for a voice worker`,
  listening: msg`Listening`,
  thinking: msg`Thinking`,
  speaking: msg`Speaking`,
  muted: msg`You are muted`,
  writing: msg`Write; you are answered aloud`,
};

const STATES: Partial<Record<Shown, FaceState>> = {
  listening: "listening",
  thinking: "thinking",
  opening: "thinking",
  speaking: "speaking",
};

/** Returns what a face follows of a call. */
export const faceSourceOf = (call: Call): FaceSource => ({
  get state() {
    return STATES[stateOf(call.view)] ?? "idle";
  },
  get cues() {
    return call.cues;
  },
  get heardAt() {
    return call.heardAt;
  },
});

/** Returns what the person is understood to say, or the question about it. */
export function personWords({ unclear, person }: CallView): string {
  if (unclear === null) return person;
  return unclear.length > 0 ? t`What did you say?` : t`That was not understood. Say it in other words, or write it.`;
}

/** Why the microphone is not there, and what to do. */
export const REFUSED: Partial<Record<MicrophoneState, [MessageDescriptor, MessageDescriptor]>> = {
  insecure: [
    msg`Browsers give the microphone only to pages over HTTPS or on localhost.`,
    msg`Open this page at its https address, which \`soundstage up\` prints when \`http.tls\` is set, or on the computer of the server. Writing goes on.`,
  ],
  denied: [
    msg`The microphone is not allowed for this page.`,
    msg`Allow it beside the address, and start again. Writing goes on.`,
  ],
  missing: [msg`There is no microphone.`, msg`Connect one, or choose another under Devices. Writing goes on.`],
  busy: [msg`The microphone cannot be opened.`, msg`Another program may be using it. Writing goes on.`],
};
