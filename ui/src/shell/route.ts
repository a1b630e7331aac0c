/** Where we are, in the part of the address behind #: `#/videos/rnd_…`. Links to it are plain links. */
import { useSyncExternalStore } from "react";

const listen = (changed: () => void) => {
  addEventListener("hashchange", changed);
  return () => removeEventListener("hashchange", changed);
};

export function useRoute(): [view: string, id: string] {
  const hash = useSyncExternalStore(listen, () => location.hash);
  const [view = "", id = ""] = hash.replace(/^#\//, "").split("/");
  return [view, decodeURIComponent(id)];
}
