/** A text of the server for people: ids become links with the name of what they stand for, `…` becomes code.
 * It only ever makes text and links of it, whatever the text holds. */
import { Fragment, type ReactNode } from "react";
import { State } from "./State";

const ROW = /^ +(rnd_[0-9a-z]+) +(\S+) +(.+)$/;
const ID = /( ?\()?\b((rnd|apr)_[0-9a-z]{26})\b(\))?/;
const VIEWS = { rnd: "videos", apr: "approvals" };
const NAMES = { rnd: "the video", apr: "the approval" };

export function Told({ text }: { text: string }) {
  return (
    <>
      {text.split("\n").map((line, place) => (
        <Fragment key={place}>
          {place > 0 && "\n"}
          <Line line={line} />
        </Fragment>
      ))}
    </>
  );
}

function Line({ line }: { line: string }) {
  const row = ROW.exec(line);
  if (row)
    return (
      <span className="told-row">
        <a href={`#/videos/${row[1]}`}>{row[3]}</a>
        <State of={row[2] ?? ""} />
      </span>
    );
  return line
    .split("`")
    .map((piece, place) => (place % 2 ? <code key={place}>{piece}</code> : <Fragment key={place}>{linked(piece)}</Fragment>));
}

/** Where the id follows a title in quotes, in brackets, the title becomes the link. */
function linked(line: string): ReactNode {
  const found = ID.exec(line);
  if (!found) return line;
  const [whole, opens = "", id, kind, closes = ""] = found;
  const before = line.slice(0, found.index);
  const after = line.slice(found.index + whole.length);
  const address = `#/${VIEWS[kind as keyof typeof VIEWS]}/${id}`;
  const title = opens && closes ? /“[^”]*”/.exec(before) : null;
  if (!title)
    return (
      <>
        {before}
        {opens}
        <a href={address}>{NAMES[kind as keyof typeof NAMES]}</a>
        {closes}
        {linked(after)}
      </>
    );
  return (
    <>
      {before.slice(0, title.index)}
      <a href={address}>{title[0]}</a>
      {before.slice(title.index + title[0].length)}
      {linked(after)}
    </>
  );
}
