/** What a tool call is called: “Accept machine” for change_machine(action=accept), “Make video” for make_render,
 * “Add scene” for edit_project(action=add_scene), “Memory: recall” for memory(action=recall). */
export function callWords(tool: string, given: Record<string, unknown> = {}): string {
  const action = typeof given.action === "string" ? given.action.replaceAll("_", " ") : "";
  const words = NAMES[`${tool}.${action}`] ?? NAMES[tool] ?? named(tool.replace("render", "video").replaceAll("_", " "), action);
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Of tools whose name is none of what they do. */
const NAMES: Record<string, string> = {
  ansible: "run Ansible",
  code_runner: "run code",
  "publish_render.publish": "publish video",
  "publish_render.show": "show publication",
  ssh: "run command",
  vision: "look at picture",
};

function named(tool: string, action: string): string {
  const object = tool.split(" ")[1];
  if (!action || !object) return action ? `${tool}: ${action}` : tool;
  return action.endsWith(" scene") ? action : `${action} ${object}`;
}
