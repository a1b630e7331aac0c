import { useEffect, useRef } from "react";

/** Calls `draw` for each picture of the browser while `isOn`: without React, for what moves all the time. */
export function useFrames(draw: () => void, isOn = true): void {
  const latest = useRef(draw);
  latest.current = draw;
  useEffect(() => {
    if (!isOn) return;
    let frame = 0;
    const next = () => {
      latest.current();
      frame = requestAnimationFrame(next);
    };
    next();
    return () => cancelAnimationFrame(frame);
  }, [isOn]);
}
