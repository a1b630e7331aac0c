/** The small picture of a video, about as wide as it is shown. */
import type { RenderSummary } from "../api/client";

const WIDTHS = [160, 320, 640];

/** Undefined where there is none yet. `width`: in CSS pixels. */
export function pictureUrl(row: Pick<RenderSummary, "picture">, width: number): string | undefined {
  const dense = width * Math.min(2, devicePixelRatio);
  const next = WIDTHS.find((one) => one >= dense) ?? WIDTHS.at(-1);
  return row.picture ? `${row.picture}&width=${next}` : undefined;
}
