/** What one turn shows, made from its events. */
import type { Block, BrainEvent } from "../api/client";
import { textBlock } from "../kit/Blocks";

export interface Step {
  tool: string;
  effect: string;
  arguments: Record<string, unknown>;
  state: "running" | "done" | "failed" | "waits";
  result?: Record<string, unknown> | undefined;
  message?: string;
  approval?: string;
}

export interface Shown {
  number: number;
  utterance: string;
  steps: Step[];
  /** As text, for reading aloud; `blocks` are what is shown. */
  text: string;
  blocks: Block[];
  notices: string[];
  offers: string[];
  approvals: { id: string; message: string }[];
  failure: Extract<BrainEvent, { type: "error" }> | null;
  ended: boolean;
}

export const begun = (number: number, utterance: string): Shown => ({
  number,
  utterance,
  steps: [],
  text: "",
  blocks: [],
  notices: [],
  offers: [],
  approvals: [],
  failure: null,
  ended: false,
});

/** Adds an event to a turn. The streamed pieces of a text come first; the whole of it then takes their place. */
export function applyEvent(turn: Shown, pieces: string, event: BrainEvent): [Shown, string] {
  switch (event.type) {
    case "tool_call":
      return [
        {
          ...turn,
          steps: [...turn.steps, { tool: event.tool, effect: event.effect, arguments: event.arguments ?? {}, state: "running" }],
        },
        pieces,
      ];
    case "tool_result":
      return [settled(turn, event.tool, { state: "done", result: event.result }), pieces];
    case "tool_error":
      return [settled(turn, event.tool, { state: "failed", message: `${event.message} ${event.hint ?? ""}` }), pieces];
    case "confirm":
      return [{ ...turn, offers: event.say ? [...turn.offers, event.say] : turn.offers }, pieces];
    case "approval":
      return [
        {
          ...settled(turn, event.tool, { state: "waits", approval: event.approval_id }),
          approvals: [...turn.approvals, { id: event.approval_id, message: event.message }],
        },
        pieces,
      ];
    case "text_part":
      return [turn, pieces + event.text];
    case "text":
      return [withText(turn, event.text, event.blocks), ""];
    case "notice":
      // What a model had said when it broke off stands as far as it came.
      return [{ ...(pieces ? withText(turn, `${pieces} …`) : turn), notices: [...turn.notices, event.text] }, ""];
    case "error":
      return [
        {
          ...turn,
          failure: event,
          steps: turn.steps.map((one) => (one.state === "running" ? { ...one, state: "failed" } : one)),
        },
        pieces,
      ];
    case "done":
      return [{ ...(pieces ? withText(turn, pieces) : turn), ended: true }, ""];
    default:
      return [turn, pieces];
  }
}

export function withText(turn: Shown, text: string, blocks: Block[] = []): Shown {
  return {
    ...turn,
    text: turn.text ? `${turn.text}\n${text}` : text,
    blocks: [...turn.blocks, ...(blocks.length > 0 ? blocks : [textBlock(text)])],
  };
}

function settled(turn: Shown, tool: string, change: Partial<Step>): Shown {
  const at = turn.steps.findLastIndex((one) => one.tool === tool && one.state === "running");
  return { ...turn, steps: turn.steps.map((one, place) => (place === at ? { ...one, ...change } : one)) };
}
