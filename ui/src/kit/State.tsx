/** A state as a word on its colour. */
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

export function State({ of, children }: { of: string; children?: ReactNode }) {
  return <span className={`chip ${TONES[of] ?? ""}`}>{children ?? of}</span>;
}
