/** What one turn shows, made from its events. */
import { plural, t } from "@lingui/core/macro";
import type { Block, BrainEvent } from "../api/client";
import { textBlock } from "../kit/Blocks";
import { number } from "../videos/words";

export interface Step {
  tool: string;
  effect: string;
  arguments: Record<string, unknown>;
  state: "running" | "done" | "failed" | "waits";
  result?: Record<string, unknown> | undefined;
  message?: string;
  approval?: string;
}

export interface TurnViewModel {
  number: number;
  utterance: string;
  steps: Step[];
  /** As text, for reading aloud; `blocks` are what is shown. */
  text: string;
  blocks: Block[];
  notices: string[];
  offers: string[];
  /** Answers to the question of this turn. */
  choices: string[];
  approvals: { id: string; message: string }[];
  failure: Extract<BrainEvent, { type: "error" }> | null;
  /** What the answer took of a language model; empty without one. */
  usage: string;
  ended: boolean;
}

export const emptyTurn = (number: number, utterance: string): TurnViewModel => ({
  number,
  utterance,
  steps: [],
  text: "",
  blocks: [],
  notices: [],
  offers: [],
  choices: [],
  approvals: [],
  failure: null,
  usage: "",
  ended: false,
});

/** Adds an event to a turn. The streamed pieces of a text come first; the whole of it then takes their place. */
export function applyEvent(turn: TurnViewModel, streamedText: string, event: BrainEvent): [TurnViewModel, string] {
  switch (event.type) {
    case "tool_call":
      return [
        {
          ...turn,
          steps: [...turn.steps, { tool: event.tool, effect: event.effect, arguments: event.arguments ?? {}, state: "running" }],
        },
        streamedText,
      ];
    case "tool_result":
      return [settled(turn, event.tool, { state: "done", result: event.result }), streamedText];
    case "tool_error":
      return [settled(turn, event.tool, { state: "failed", message: `${event.message} ${event.hint ?? ""}` }), streamedText];
    case "confirm":
      return [{ ...turn, offers: event.say ? [...turn.offers, event.say] : turn.offers }, streamedText];
    case "approval":
      return [
        {
          ...settled(turn, event.tool, { state: "waits", approval: event.approval_id }),
          approvals: [...turn.approvals, { id: event.approval_id, message: event.message }],
        },
        streamedText,
      ];
    case "text_part":
      return [turn, streamedText + event.text];
    case "text":
      return [{ ...withText(turn, event.text, event.blocks), choices: event.choices ?? [] }, ""];
    case "notice":
      // What a model had said when it broke off stands as far as it came.
      return [{ ...(streamedText ? withText(turn, `${streamedText} …`) : turn), notices: [...turn.notices, event.text] }, ""];
    case "error":
      return [
        {
          ...turn,
          failure: event,
          steps: turn.steps.map((one) => (one.state === "running" ? { ...one, state: "failed" } : one)),
        },
        streamedText,
      ];
    case "done":
      return [{ ...(streamedText ? withText(turn, streamedText) : turn), usage: usageLine(event.usage), ended: true }, ""];
    default:
      return [turn, streamedText];
  }
}

function usageLine(usage: Extract<BrainEvent, { type: "done" }>["usage"]): string {
  if (!usage) return "";
  const requests = plural(usage.requests, { one: "# request", other: "# requests" });
  const cached = usage.cached_tokens ? ` ${t`(${number(usage.cached_tokens)} read before)`}` : "";
  return t`${usage.model}: ${requests}, ${number(usage.tokens)} tokens${cached}, ${number(usage.seconds, 1)} s`;
}

export function withText(turn: TurnViewModel, text: string, blocks: Block[] = []): TurnViewModel {
  return {
    ...turn,
    text: turn.text ? `${turn.text}\n${text}` : text,
    blocks: [...turn.blocks, ...(blocks.length > 0 ? blocks : [textBlock(text)])],
  };
}

function settled(turn: TurnViewModel, tool: string, change: Partial<Step>): TurnViewModel {
  const at = turn.steps.findIndex((one) => one.tool === tool && one.state === "running");
  return { ...turn, steps: turn.steps.map((one, place) => (place === at ? { ...one, ...change } : one)) };
}
