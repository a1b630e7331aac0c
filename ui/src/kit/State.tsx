/** A state as a word on its colour. */
import { i18n, type MessageDescriptor } from "@lingui/core";
import { msg } from "@lingui/core/macro";
import type { ReactNode } from "react";

const TONES: Record<string, string> = {
  green: "good",
  amber: "warn",
  red: "bad",
  done: "good",
  succeeded: "good",
  ready: "good",
  approved: "good",
  executed: "good",
  published: "good",
  fired: "good",
  failed: "bad",
  denied: "bad",
  lost: "bad",
  void: "bad",
  pending: "warn",
  draining: "warn",
  wipe_unverified: "bad",
  discovered: "warn",
  expired: "",
  running: "live",
  placed: "live",
  firing: "live",
  accepted: "live",
  configuring: "live",
  deploying: "live",
};

const WORDS: Record<string, MessageDescriptor> = {
  queued: msg`queued`,
  placed: msg`waiting`,
  running: msg`running`,
  done: msg`done`,
  failed: msg`failed`,
  cancelled: msg`cancelled`,
  pending: msg`pending`,
  approved: msg`approved`,
  denied: msg`denied`,
  expired: msg`expired`,
  lost: msg`lost`,
  void: msg`void`,
  executed: msg`executed`,
  succeeded: msg`succeeded`,
  discovered: msg`discovered`,
  accepted: msg`accepted`,
  deploying: msg`deploying`,
  enrolled: msg`enrolled`,
  configuring: msg`configuring`,
  ready: msg`ready`,
  draining: msg`draining`,
  retired: msg`retired`,
  waiting: msg`waiting`,
  firing: msg`firing`,
  fired: msg`fired`,
  uploading: msg`uploading`,
  processing: msg`processing`,
  published: msg`published`,
  active: msg`active`,
  superseded: msg`superseded`,
  revoked: msg`revoked`,
  interrupted: msg`interrupted`,
  wipe_unverified: msg`wipe unverified`,
};

/** A state of the API in the language of the page. */
export const stateWords = (state: string) => (WORDS[state] ? i18n.t(WORDS[state]) : state);

export function State({ of, children }: { of: string; children?: ReactNode }) {
  return <span className={`chip ${TONES[of] ?? ""}`}>{children ?? stateWords(of)}</span>;
}
