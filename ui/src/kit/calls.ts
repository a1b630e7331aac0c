/** What a tool call is called: “Accept machine” for change_machine(action=accept), “Make video” for make_render. */
export function callWords(tool: string, given: Record<string, unknown> = {}): string {
  const named = tool.replace("render", "video").replaceAll("_", " ");
  const action = typeof given.action === "string" ? given.action.replaceAll("_", " ") : "";
  const words = !action ? named : named.startsWith("change ") ? named.replace("change", action) : `${named}: ${action}`;
  return words.charAt(0).toUpperCase() + words.slice(1);
}
