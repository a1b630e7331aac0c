/** Lists of other services, which tell of changes in streams of their own: asked for again when one does, not by a clock. */
import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { follow, type Message } from "./sse";

/** Changes that come within this time are answered by one question. */
const GATHER_MS = 1000;

const every = () => true;

/** Follows `path` while a view is shown and `enabled`: what is under the keys is asked for again after each message that
 * `concerns` it, which must be the same function each time. */
export function useRefreshedBy(
  path: string,
  keys: string,
  enabled: boolean,
  concerns: (message: Message) => boolean = every,
): void {
  const queries = useQueryClient();
  useEffect(() => {
    if (!enabled) return;
    const line = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const changed = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        for (const key of keys.split(" ")) void queries.invalidateQueries({ queryKey: [key] });
      }, GATHER_MS);
    };
    void follow(path, line.signal, {
      // What has happened while the line was not open is not told.
      opened: changed,
      message: (one) => {
        if (concerns(one)) changed();
        return false;
      },
    });
    return () => {
      line.abort();
      clearTimeout(timer);
    };
  }, [path, keys, enabled, concerns, queries]);
}
