/** Whether an element is on the screen or within two screens of it; `atFirst` until the browser has looked. */
import { type RefObject, useEffect, useState } from "react";

const MARGIN = "200% 0px";
const listeners = new WeakMap<Element, (near: boolean) => void>();
/** One of each scrolled element, for all that is in it: the browser looks at them together. */
const observers = new WeakMap<Element, IntersectionObserver>();

function observerOf(root: Element): IntersectionObserver {
  const known = observers.get(root);
  if (known) return known;
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting, boundingClientRect } of entries) {
        // In a view that is hidden nothing has a size: what was near stays so until it is seen again.
        if (isIntersecting || boundingClientRect.width > 0) listeners.get(target)?.(isIntersecting);
      }
    },
    { root, rootMargin: MARGIN },
  );
  observers.set(root, observer);
  return observer;
}

export function useNear(ref: RefObject<Element | null>, atFirst: boolean): boolean {
  const [near, setNear] = useState(atFirst);
  useEffect(() => {
    const element = ref.current;
    const root = element?.closest(".view");
    if (!element || !root) return;
    const observer = observerOf(root);
    listeners.set(element, setNear);
    observer.observe(element);
    return () => {
      observer.unobserve(element);
      listeners.delete(element);
    };
  }, [ref]);
  return near;
}
