/** Stages, times and lengths in people's words. */
const STAGES: Record<string, string> = {
  queued: "waiting",
  placed: "waiting",
  running: "getting ready",
  prepare: "getting ready",
  speech: "speaking",
  timing: "timing",
  frames: "drawing",
  assemble: "joining",
  captions: "captions",
  publish: "finishing",
};
export const stageWords = (stage: string) => STAGES[stage] ?? stage;

export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return whole < 90 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

export function clock(milliseconds: number): string {
  const seconds = Math.max(1, Math.floor(milliseconds / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

export const when = (iso: string) => new Date(iso).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

/** Of today the time alone. */
export function moment(iso: string): string {
  const then = new Date(iso);
  const today = then.toDateString() === new Date().toDateString();
  return today ? then.toLocaleTimeString() : then.toLocaleString([], { dateStyle: "short", timeStyle: "medium" });
}

export const fileUrl = (id: string, role: string) => `/api/renders/${encodeURIComponent(id)}/files/${role}`;

/** The engines that drew faces, each once, with how much of a card it took: “latentsync (middle)”. */
export const drawnBy = (uses: { engine: string; mode: string }[]) => [
  ...new Set(uses.map((one) => (one.mode ? `${one.engine} (${one.mode})` : one.engine))),
];

export const facts = (one: { duration_ms: number | null; created_at: string }) =>
  [one.duration_ms ? clock(one.duration_ms) : "", when(one.created_at)].filter(Boolean).join(" · ");
