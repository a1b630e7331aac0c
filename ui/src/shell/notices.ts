/** What a person may want to know of, wherever they are: approvals that wait, films that are ready or failed. */

import { t } from "@lingui/core/macro";
import { useLingui } from "@lingui/react";
import { useMemo } from "react";
import type { Approval } from "../api/client";
import { store, useStored } from "../kit/stored";
import { onLiveEvent, useLive } from "../live/Live";
import type { ServerEvent } from "../live/serverEvent";

export interface Notice {
  key: string;
  to: "/videos/$id" | "/run/approvals/$id";
  id: string;
  tone: "good" | "bad" | "warn";
  words: string;
  /** That waits; the inbox, which is fetched when it is opened, has the names of calls. */
  call?: Pick<Approval, "tool" | "arguments">;
  at: string;
  /** Of its event; 0 for an approval, which is new as long as it waits. */
  event: number;
}

const KEY = "soundstage.inbox";
const MAX_NOTICES = 12;

/** The notice of an event; null where it is none. */
export function noticeOf(event: ServerEvent): Notice | null {
  const { id, title = "", state, kind } = event.data as Record<string, string | undefined>;
  if (event.kind !== "render.state" || !id || kind === "preview" || (state !== "done" && state !== "failed")) return null;
  const words = state === "done" ? t`“${title}” is ready` : t`“${title}” has failed`;
  const tone = state === "done" ? "good" : "bad";
  return { key: `${id} ${state}`, to: "/videos/$id", id, tone, words, at: event.at, event: event.id };
}

/** What was there when the page was opened is not new to somebody who has never opened the inbox. */
let before = Number.POSITIVE_INFINITY;
onLiveEvent((event) => {
  before = Math.min(before, event.id - 1);
});

const seen = () => Number(localStorage.getItem(KEY) ?? before);

export function markSeen(notices: readonly Notice[]): void {
  const newest = Math.max(0, ...notices.map((one) => one.event));
  if (newest > Number(localStorage.getItem(KEY) ?? 0)) store(KEY, String(newest));
}

/** The latest first, and how many of them are new. */
export function useNotices(approvals: readonly Approval[]): { notices: Notice[]; unseen: number } {
  const { log } = useLive();
  const last = useStored(seen);
  const { i18n } = useLingui();
  // biome-ignore lint/correctness/useExhaustiveDependencies: another language has other words
  return useMemo(() => {
    const ended = new Map<string, Notice>();
    for (const event of log) {
      const notice = noticeOf(event);
      if (notice) ended.set(notice.id, notice);
    }
    const waiting = approvals
      .filter((one) => one.state === "pending")
      .map(
        (one): Notice => ({
          key: one.id,
          to: "/run/approvals/$id",
          id: one.id,
          tone: "warn",
          words: "",
          call: one,
          at: one.created_at,
          event: 0,
        }),
      );
    const latest = [...ended.values()].reverse().slice(0, MAX_NOTICES);
    return { notices: [...waiting, ...latest], unseen: waiting.length + latest.filter((one) => one.event > last).length };
  }, [log, approvals, last, i18n]);
}
