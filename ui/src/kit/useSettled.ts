/** What somebody types, once they pause: one question is asked for a word, not one for each letter. */
import { useEffect, useState } from "react";

const TYPING_MS = 250;

export function useSettled(typed: string): string {
  const [settled, setSettled] = useState(typed);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(typed), TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  return settled;
}
