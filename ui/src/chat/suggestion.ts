/** A sentence that another view puts into the field of the conversation, for the person to finish and send. */
const suggested = new EventTarget();
/** Until the conversation is there to take it. */
let waiting: string | null = null;

export function suggest(sentence: string): void {
  waiting = sentence;
  suggested.dispatchEvent(new Event("sentence"));
}

export function takeSuggestion(): string | null {
  const sentence = waiting;
  waiting = null;
  return sentence;
}

export function onSuggestion(act: () => void): () => void {
  suggested.addEventListener("sentence", act);
  return () => suggested.removeEventListener("sentence", act);
}
