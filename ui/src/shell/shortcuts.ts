/** Keys that work everywhere on the page. The one without Ctrl can be switched off (WCAG 2.1.4). */

import type { MessageDescriptor } from "@lingui/core";
import { msg } from "@lingui/core/macro";
import { store } from "../kit/stored";

export type Command = "palette" | "chat" | "shortcuts";

export const SHORTCUTS: [keys: string, words: MessageDescriptor][] = [
  ["Ctrl K", msg`Go to a view, or call a tool`],
  ["Ctrl J", msg`Open or close the chat`],
  ["?", msg`Show these keys`],
  ["Ctrl Enter", msg`Split the scene at the caret; in a new video: make it`],
  ["Ctrl Z, Ctrl Shift Z", msg`Undo and redo in the editor`],
  ["Comma, Full stop", msg`Rotate the selected layer by 1°; with Shift by 15°`],
  ["Enter, Shift Enter", msg`Send the sentence; begin a new line`],
];

const SINGLE_KEY = "soundstage.single-key";
export const mayUseSingleKey = () => localStorage.getItem(SINGLE_KEY) !== "off";

export const setSingleKey = (on: boolean) => store(SINGLE_KEY, on ? null : "off");

const isTyping = () => document.activeElement?.matches("input, textarea, select, [contenteditable]") ?? false;

/** The command of a key press; null where it has none, or belongs to what is typed. */
export function commandOf(event: KeyboardEvent): Command | null {
  if (event.altKey || event.defaultPrevented) return null;
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    if (event.shiftKey) return null;
    return key === "k" ? "palette" : key === "j" ? "chat" : null;
  }
  return key === "?" && mayUseSingleKey() && !isTyping() ? "shortcuts" : null;
}
