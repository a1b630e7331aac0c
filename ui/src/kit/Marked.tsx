/** A text in which `…` is code: messages and hints mark so what people type. It makes nothing else of it. */
import { Fragment } from "react";

export function Marked({ text }: { text: string }) {
  return text
    .split("`")
    .map((piece, place) => (place % 2 ? <code key={place}>{piece}</code> : <Fragment key={place}>{piece}</Fragment>));
}
