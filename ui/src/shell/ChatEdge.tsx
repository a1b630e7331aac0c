/** The edge of the conversation: dragged, or moved with the arrow keys, it makes it wider or narrower. */
import { t } from "@lingui/core/macro";
import { WIDTH } from "./dock";

const STEP_PX = 24;

export function ChatEdge({ width, onChange }: { width: number; onChange: (width: number) => void }) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a rule that can be moved is a splitter, which has no element
    <div
      className="edge"
      role="separator"
      tabIndex={0}
      aria-orientation="vertical"
      aria-label={t`Width of the chat`}
      aria-valuenow={width}
      aria-valuemin={WIDTH.min}
      aria-valuemax={WIDTH.max}
      onPointerDown={(event) => {
        event.preventDefault();
        event.currentTarget.setPointerCapture(event.pointerId);
      }}
      onPointerMove={(event) => {
        if (event.currentTarget.hasPointerCapture(event.pointerId)) onChange(innerWidth - event.clientX);
      }}
      onKeyDown={(event) => {
        const by = { ArrowLeft: STEP_PX, ArrowRight: -STEP_PX }[event.key];
        if (by) onChange(width + by);
      }}
      onDoubleClick={() => onChange(WIDTH.usual)}
    />
  );
}
