/** Whether an element is on the screen or within two screens of it; `atFirst` until the browser has looked. */
import { type RefObject, useEffect, useState } from "react";

const MARGIN = "200% 0px";
const listeners = new WeakMap<Element, (near: boolean) => void>();
let observer: IntersectionObserver | undefined;

export function useNear(ref: RefObject<Element | null>, atFirst: boolean): boolean {
  const [near, setNear] = useState(atFirst);
  useEffect(() => {
    const element = ref.current;
    if (!element) return;
    // One for all: the browser looks at them together.
    observer ??= new IntersectionObserver(
      (entries) => {
        for (const { target, isIntersecting } of entries) listeners.get(target)?.(isIntersecting);
      },
      { root: element.closest(".view"), rootMargin: MARGIN },
    );
    listeners.set(element, setNear);
    observer.observe(element);
    return () => {
      observer?.unobserve(element);
      listeners.delete(element);
    };
  }, [ref]);
  return near;
}
