/** Whether the conversation stands beside the views, and how wide: stored by the browser once somebody has chosen. */
import { useCallback } from "react";
import { store, useStored } from "../kit/stored";

const KEY = "soundstage.chat";
export const WIDTH = { min: 300, max: 720, usual: 380 };
/** Views and conversation stand beside each other from this width on. */
export const WIDE = "(min-width: 60.01rem)";
/** With less than this the conversation is opened by hand. */
const ROOMY_PX = 1200;

interface Chosen {
  open?: boolean;
  /** In Create, whose views need the place themselves. */
  openInCreate?: boolean;
  width?: number;
}

const read = () => localStorage.getItem(KEY) ?? "{}";
const write = (change: Chosen) => store(KEY, JSON.stringify({ ...JSON.parse(read()), ...change }));

export interface Dock {
  open: boolean;
  width: number;
  setOpen: (open: boolean) => void;
  setWidth: (width: number) => void;
}

export function useDock(room: string): Dock {
  const stored = JSON.parse(useStored(read)) as Chosen;
  const inCreate = room === "Create";
  const open = inCreate ? (stored.openInCreate ?? false) : (stored.open ?? innerWidth >= ROOMY_PX);
  const setOpen = useCallback((now: boolean) => write(inCreate ? { openInCreate: now } : { open: now }), [inCreate]);
  const setWidth = useCallback(
    (width: number) => write({ width: Math.round(Math.min(WIDTH.max, Math.max(WIDTH.min, width))) }),
    [],
  );
  return { open, width: stored.width ?? WIDTH.usual, setOpen, setWidth };
}
