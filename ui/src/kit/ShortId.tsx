/** An id that gives way in its middle where there is no room for it; copied, it is whole. */
import "./short-id.css";

const END_CHARS = 6;
const SHORTEST_TO_CUT = 16;

export function ShortId({ of }: { of: string }) {
  if (of.length < SHORTEST_TO_CUT) return of;
  return (
    <span className="short-id" title={of}>
      <span>{of.slice(0, -END_CHARS)}</span>
      {of.slice(-END_CHARS)}
    </span>
  );
}
