/** A button with a sign, whose name and key are told when it is pointed at or focused. */

import type { ReactNode } from "react";
import { Button, Tooltip, TooltipTrigger } from "react-aria-components";
import { keysText } from "./keys";
import "./overlays.css";

interface Props {
  label: string;
  /** What is told; the label without it. */
  tip?: string;
  keys?: string;
  disabled?: boolean;
  onPress: () => void;
  children: ReactNode;
}

const DELAY_MS = 500;

export function IconAction({ label, tip = label, keys, disabled = false, onPress, children }: Props) {
  return (
    <TooltipTrigger delay={DELAY_MS} closeDelay={0}>
      <Button className="icon" aria-label={label} isDisabled={disabled} onPress={onPress}>
        {children}
      </Button>
      <Tooltip className="tooltip" offset={6}>
        {tip}
        {keys && <kbd>{keysText(keys)}</kbd>}
      </Tooltip>
    </TooltipTrigger>
  );
}
