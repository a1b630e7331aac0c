/** A sentence that another view puts into the field of the conversation, for the person to finish and send. */
const suggested = new EventTarget();

export function suggest(sentence: string): void {
  location.hash = "#/chat";
  suggested.dispatchEvent(new CustomEvent("sentence", { detail: sentence }));
}

export function onSuggestion(fill: (sentence: string) => void): () => void {
  const on = (event: Event) => fill((event as CustomEvent<string>).detail);
  suggested.addEventListener("sentence", on);
  return () => suggested.removeEventListener("sentence", on);
}
