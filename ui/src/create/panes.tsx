/** The panes of the editor: a wide page shows the script beside one of the others, a narrow one shows one at a time. */
import { t } from "@lingui/core/macro";
import { type RefObject, useEffect, useLayoutEffect, useRef, useState, useSyncExternalStore } from "react";

export type Pane = "script" | "scene" | "film";

/** As in editor.css. */
const narrowPage = matchMedia("(max-width: 52rem)");
const onWidth = (changed: () => void) => {
  narrowPage.addEventListener("change", changed);
  return () => narrowPage.removeEventListener("change", changed);
};
export const useNarrow = () => useSyncExternalStore(onWidth, () => narrowPage.matches);

/** Between the choice of panes and what it shows. */
const GAP_PX = 12;

/** The pane of a narrow page. Scroll position and focus of the script are restored when it is shown again. */
export function useNarrowPane(frame: RefObject<HTMLElement | null>, initial: Pane, scene: string) {
  const narrow = useNarrow();
  const [chosen, choose] = useState<Pane | null>(null);
  const pane = chosen ?? initial;
  const scriptTop = useRef(0);
  const written = useRef<HTMLTextAreaElement>(null);
  const next = useRef<Pane>(null);
  const view = () => frame.current?.closest(".view");
  const show = (one: Pane) => {
    if (one === pane) return;
    if (pane === "script") scriptTop.current = view()?.scrollTop ?? 0;
    next.current = one;
    choose(one);
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: another pane is drawn
  useLayoutEffect(() => {
    const [scroller, panes, isNext] = [view(), frame.current, next.current === pane];
    next.current = null;
    if (!narrow || !isNext || !scroller || !panes) return;
    if (pane === "script") {
      scroller.scrollTop = scriptTop.current;
      if (written.current?.id === `script-${scene}`) written.current.focus({ preventScroll: true });
      return;
    }
    // Its top, with the choice of panes where it was pressed.
    const above = (panes.previousElementSibling as HTMLElement | null)?.offsetHeight ?? 0;
    const top = panes.getBoundingClientRect().top - scroller.getBoundingClientRect().top + scroller.scrollTop - above - GAP_PX;
    scroller.scrollTop = Math.min(scroller.scrollTop, top);
  }, [pane]);
  useEffect(() => {
    const focused = ({ target }: FocusEvent) => {
      if (target instanceof HTMLTextAreaElement) written.current = target;
    };
    const panes = frame.current;
    panes?.addEventListener("focusin", focused);
    return () => panes?.removeEventListener("focusin", focused);
  }, [frame]);
  return { narrow, pane, show };
}

interface ChoiceProps {
  label: string;
  panes: readonly Pane[];
  shown: Pane;
  /** Of the chosen scene. */
  number: number;
  onChoose: (pane: Pane) => void;
}

export function PaneChoice({ label, panes, shown, number, onChoose }: ChoiceProps) {
  const names = { script: t`Script`, scene: t`Scene ${number}`, film: t`Video` };
  return (
    // biome-ignore lint/a11y/useSemanticElements: buttons, and no fields of a form
    <div role="group" className="panes-choice" aria-label={label}>
      {panes.map((one) => (
        <button key={one} type="button" aria-pressed={shown === one} onClick={() => onChoose(one)}>
          {names[one]}
        </button>
      ))}
    </div>
  );
}
