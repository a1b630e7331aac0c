/** Shapes of a video, and how long a text takes to speak. */
import type { Project } from "../api/client";

export type Canvas = Project["canvas"];

export const FORMATS: { id: string; name: string; width: number; height: number }[] = [
  { id: "16:9", name: "Wide 16:9", width: 1920, height: 1080 },
  { id: "9:16", name: "Upright 9:16", width: 1080, height: 1920 },
  { id: "1:1", name: "Square 1:1", width: 1080, height: 1080 },
];

/** The id of a canvas's shape; `""` for another one. */
export function formatOf(canvas: Canvas): string {
  return FORMATS.find((one) => one.width * canvas.height === one.height * canvas.width)?.id ?? "";
}

const WORDS_PER_SECOND = 2.6;

/** About how long it takes to speak, in seconds. Marks such as `[pause]` count as nothing. */
export function speakingTime(script: string): number {
  const words = script.replace(/\[[^\]]*\]/g, " ").match(/[\p{L}\p{N}]+/gu)?.length ?? 0;
  return words / WORDS_PER_SECOND;
}
