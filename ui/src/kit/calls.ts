import LABELS from "./labels.json";

/** What a tool call is called: “Accept machine”, “Make video”, “Memory: recall”; from the records of the tools. */
export function callWords(tool: string, values: Record<string, unknown> = {}): string {
  const labels: Record<string, string | undefined> = LABELS;
  return labels[`${tool}.${values.action}`] ?? labels[tool] ?? tool.replaceAll("_", " ");
}
