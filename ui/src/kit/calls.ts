/** What a tool call is called: “Accept machine” for change_machine(action=accept), “Make video” for make_render,
 * “Add scene” for edit_project(action=add_scene), “Memory: recall” for memory(action=recall). */
export function callWords(tool: string, given: Record<string, unknown> = {}): string {
  const named = tool.replace("render", "video").replaceAll("_", " ");
  const action = typeof given.action === "string" ? given.action.replaceAll("_", " ") : "";
  return capital(action ? withAction(named, action) : named);
}

function withAction(named: string, action: string): string {
  const [verb, object] = named.split(" ");
  // Whether a video is published is not the same as the video.
  if (!object || verb === "publish") return action === verb ? named : `${named}: ${action}`;
  return action.endsWith(" scene") ? action : `${action} ${object}`;
}

/** As it stands at the beginning of a sentence. */
export function capital(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
