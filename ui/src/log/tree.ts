/** The order of spans in a waterfall: each followed by its children, with its depth. */
import { t } from "@lingui/core/macro";
import type { Span } from "../api/client";
import { number } from "../videos/words";

export interface Row {
  span: Span;
  depth: number;
  /** The scene that it is about, where no step around it is about one. */
  scene: string;
}

export function inOrder(spans: Span[]): Row[] {
  const children = new Map<string | null, Span[]>();
  for (const span of spans) children.set(span.parent_id, [...(children.get(span.parent_id) ?? []), span]);
  const rows: Row[] = [];
  const below = (id: string | null, depth: number, known: boolean) =>
    (children.get(id) ?? []).map((span) => ({ span, depth, scene: known ? "" : sceneOf(span), known })).reverse();
  const stack = below(null, 0, false);
  for (let row = stack.pop(); row; row = stack.pop()) {
    rows.push(row);
    stack.push(...below(row.span.span_id, row.depth + 1, row.known || row.scene !== ""));
  }
  return rows;
}

const sceneOf = (span: Span) => String(span.attributes["soundstage.scene"] ?? "");

/** “0.8 ms”, “420 ms”, “3.2 s”, “4 min 5 s”. */
export function timeText(ms: number): string {
  if (ms < 10) return `${number(ms, 1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return t`${number(ms / 1000, 1)} s`;
  const seconds = Math.round(ms / 1000);
  const [minutes, rest] = [Math.floor(seconds / 60), seconds % 60];
  return t`${minutes} min ${rest} s`;
}

/** Left edge and width of a bar in per cent; the shortest can still be seen. */
export function barOf(span: Pick<Span, "start_ms" | "duration_ms">, totalMs: number): { left: string; width: string } {
  const width = Math.max((span.duration_ms / totalMs) * 100, 0.4);
  const left = Math.min((span.start_ms / totalMs) * 100, 100 - Math.min(width, 100));
  return { left: `${left}%`, width: `${Math.min(width, 100 - left)}%` };
}
