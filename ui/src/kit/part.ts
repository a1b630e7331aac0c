/** Parts of the page that are fetched when they are needed, also where the server is away at that moment. */
import { type ComponentType, lazy } from "react";
import { isServerThere } from "../api/reachable";

const AGAIN_MS = 2000;

/** Waits while the server is away. Rejects where it is there and has no such file: then it has a newer page. */
export async function fetchPart<T>(load: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await load();
    } catch (error) {
      if (await isServerThere()) throw error;
      do await new Promise((done) => setTimeout(done, AGAIN_MS));
      while (!(await isServerThere()));
    }
  }
}

/** Fetches a part as soon as what opens it is pointed at. */
export const prefetch = (load: () => Promise<unknown>) => ({
  onPointerEnter: () => void load(),
  onFocus: () => void load(),
});

/** As `lazy` of React. */
// biome-ignore lint/suspicious/noExplicitAny: as `lazy` itself
export const lazyPart = <Part extends ComponentType<any>>(load: () => Promise<{ default: Part }>) => lazy(() => fetchPart(load));
