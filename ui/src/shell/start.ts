/** A start link (`#/start/TOKEN`): its token leaves the address at once, and is changed for the session cookie. */
import { api } from "../api/client";
import type { Problem } from "../api/problem";

const PREFIX = "#/start/";
let refusal: Problem | null = null;

/** Why the link of this visit logged nobody in; null without a link, or after a good one. */
export const linkRefusal = () => refusal;

/** Settled when the link, if there was one, has been used or refused. */
export const linkUsed: Promise<void> = redeem();

async function redeem(): Promise<void> {
  // A link pasted into an open page changes only what stands behind #.
  addEventListener("hashchange", () => {
    if (location.hash.startsWith(PREFIX)) location.reload();
  });
  if (!location.hash.startsWith(PREFIX)) return;
  const token = location.hash.slice(PREFIX.length);
  history.replaceState(null, "", location.pathname);
  try {
    await api.POST("/api/login/start", { body: { token } });
  } catch (error) {
    refusal = error as Problem;
  }
}
