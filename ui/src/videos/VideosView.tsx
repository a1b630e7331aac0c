/** Videos: all of them, or the one whose address is open. Back from it leads to the place it was opened from. */
import { useParams } from "@tanstack/react-router";
import { useEffect, useLayoutEffect, useRef } from "react";
import { usePrincipal } from "../shell/me";
import { Wall } from "./Wall";
import { Watch } from "./Watch";

export function VideosView() {
  const me = usePrincipal();
  const { id = "" } = useParams({ strict: false });
  const root = useRef<HTMLDivElement>(null);
  const before = useRef(id);
  const place = useRef(0);
  const wallSeen = useRef(false);
  if (id === "") wallSeen.current = true;

  useEffect(() => {
    const view = root.current?.closest(".view");
    const scrolled = () => {
      if (before.current === "" && view) place.current = view.scrollTop;
    };
    view?.addEventListener("scroll", scrolled, { passive: true });
    return () => view?.removeEventListener("scroll", scrolled);
  }, []);

  useLayoutEffect(() => {
    const left = before.current;
    before.current = id;
    if (left === id) return;
    const view = root.current?.closest(".view");
    if (!view) return;
    view.scrollTop = id === "" ? place.current : 0;
    if (id === "" && mayTakeFocus())
      root.current?.querySelector<HTMLElement>(`a[href="/videos/${CSS.escape(left)}"]`)?.focus({ preventScroll: true });
  }, [id]);

  return (
    <div ref={root} className="stack">
      {wallSeen.current && (
        <div hidden={id !== ""}>
          <Wall me={me} />
        </div>
      )}
      {id !== "" && <Watch key={id} id={id} me={me} />}
    </div>
  );
}

/** Whoever is typing goes on typing. */
export const mayTakeFocus = () => !document.activeElement?.matches("input, textarea, select");
