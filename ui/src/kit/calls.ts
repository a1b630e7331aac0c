import LABELS from "./labels.json";
import { translatedLabel } from "./language";

/** What a tool call is called: “Accept machine”, “Make video”, “Memory: recall”; from the records of the tools. */
export function callWords(tool: string, values: Record<string, unknown> = {}): string {
  const labels: Record<string, string | undefined> = LABELS;
  const key = [`${tool}.${values.action}`, tool].find((one) => one in labels);
  return key ? (translatedLabel(key) ?? labels[key] ?? key) : tool.replaceAll("_", " ");
}

/** What a call is called, and what it is about. */
export function callTitle({ tool, arguments: values }: { tool: string; arguments: Record<string, unknown> }): string {
  const about = ["machine", "job", "title", "name"].map((one) => values[one]).find((one) => typeof one === "string" && one);
  return about ? `${callWords(tool, values)}: ${about}` : callWords(tool, values);
}
