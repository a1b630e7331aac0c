/** Stages, times and lengths in people's words. */
import { i18n, type MessageDescriptor } from "@lingui/core";
import { msg, t } from "@lingui/core/macro";

const STAGES: Record<string, MessageDescriptor> = {
  queued: msg`waiting`,
  placed: msg`waiting`,
  running: msg`getting ready`,
  prepare: msg`getting ready`,
  speech: msg`speaking`,
  timing: msg`timing`,
  frames: msg`drawing`,
  assemble: msg`joining`,
  captions: msg`captions`,
  publish: msg`finishing`,
};
export const stageWords = (stage: string) => (STAGES[stage] ? i18n.t(STAGES[stage]) : stage);

/** Why a video waits. What the workers of this machine say the page knows; of other farms the server has the words. */
export function waitsWords(why: string): string {
  const found =
    /^waits: (all frames are drawn, to be joined when a worker is free: )?(\d+) of (\d+) workers busy, (\d+) ahead of it$/.exec(
      why,
    );
  if (!found) return why.charAt(0).toUpperCase() + why.slice(1);
  const [, drawn, busy = "", all = "", ahead = ""] = found;
  const waits = t`Waits: ${busy} of ${all} workers busy, ${ahead} ahead of it.`;
  return drawn ? t`All frames are drawn, to be joined when a worker is free. ${waits}` : waits;
}

export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 90) return t`${whole} s`;
  const [minutes, rest] = [Math.floor(whole / 60), whole % 60];
  return t`${minutes} min ${rest} s`;
}

/** A place in a video, from 0:00. */
export function clock(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** Of something that is there: never 0:00. */
export const lengthOf = (milliseconds: number) => clock(Math.max(1000, milliseconds));

export const when = (iso: string) => new Date(iso).toLocaleString(i18n.locales, { dateStyle: "medium", timeStyle: "short" });

/** Of today the time alone. */
export function moment(iso: string): string {
  const then = new Date(iso);
  const today = then.toDateString() === new Date().toDateString();
  return today
    ? then.toLocaleTimeString(i18n.locales)
    : then.toLocaleString(i18n.locales, { dateStyle: "short", timeStyle: "medium" });
}

/** A number as the language of the page writes it. */
export const number = (value: number, digits = 0) =>
  i18n.number(value, { minimumFractionDigits: digits, maximumFractionDigits: digits });

/** In KiB where less than a tenth of a MiB would be read as nothing. */
export const mebibytes = (bytes: number) =>
  bytes < 2 ** 20 / 10 ? `${number(Math.ceil(bytes / 1024))} KiB` : `${number(bytes / 2 ** 20, 1)} MiB`;

export const gibibytes = (mib: number) => `${number(mib / 1024, mib < 10_240 ? 1 : 0)} GiB`;

export const fileUrl = (id: string, role: string) => `/api/renders/${encodeURIComponent(id)}/files/${role}`;

/** The engines that drew faces, each once, with how much of a card it took: “latentsync (middle)”. */
export const drawnBy = (uses: { engine: string; mode: string }[]) => [
  ...new Set(uses.map((one) => (one.mode ? `${one.engine} (${one.mode})` : one.engine))),
];

export const facts = (one: { duration_ms: number | null; created_at: string }) =>
  [one.duration_ms ? lengthOf(one.duration_ms) : "", when(one.created_at)].filter(Boolean).join(" · ");
