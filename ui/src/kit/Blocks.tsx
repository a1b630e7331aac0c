/** Draws the blocks of a result: one component per kind; agent/presentation/blocks.py has the same kinds. */
import { t } from "@lingui/core/macro";
import { Link } from "@tanstack/react-router";
import type { Block, Inline } from "../api/client";
import { Marked } from "./Marked";
import { State, stateWords } from "./State";
import { Table } from "./Table";

const VIEWS = { video: "/videos/$id", approval: "/run/approvals/$id" } as const;

/** As the presentation for terminals names a video. */
const VIDEO = /\((rnd_[0-9a-z]{26})\)/;

export const textBlock = (text: string): Block => ({
  kind: "paragraph",
  content: text
    .split(VIDEO)
    .map((part, place) => (place % 2 ? { kind: "link", to: "video", id: part, text: t`Open the video` } : part)),
});

export function Blocks({ blocks }: { blocks: readonly Block[] }) {
  return blocks.map((block, place) => <BlockView key={place} block={block} />);
}

function BlockView({ block }: { block: Block }) {
  switch (block.kind) {
    case "paragraph":
      return (
        <p>
          <Content parts={block.content} />
        </p>
      );
    case "items":
      return (
        <ul className={block.mark ? "bullets" : undefined}>
          {block.rows.map((row, place) => (
            <li key={place}>
              <Content parts={row} />
            </li>
          ))}
        </ul>
      );
    case "preformatted":
      return (
        // biome-ignore-start lint/a11y: what scrolls must be reached by keyboard, and a group is no landmark
        <pre role="group" tabIndex={0} aria-label={t`Output`}>
          {block.text}
        </pre>
        // biome-ignore-end lint/a11y: so far
      );
    case "table":
      return <Rows of={block} />;
  }
}

/** A column that is empty, or holds the ids that people type at a terminal, is left out. */
function Rows({ of }: { of: Extract<Block, { kind: "table" }> }) {
  const shown = of.heads.map((_, at) => of.rows.some((row) => row[at] && !isId(row[at])));
  return (
    <>
      <Table name={of.name} heads={of.heads.filter((_, at) => shown[at])}>
        {of.rows.map((row, place) => (
          <tr key={place}>{row.map((cell, at) => shown[at] && <td key={of.heads[at]}>{<Part part={cell} />}</td>)}</tr>
        ))}
      </Table>
      {(of.more ?? 0) > 0 && <p className="quiet">{t`and ${of.more} more`}</p>}
    </>
  );
}

function Content({ parts }: { parts: readonly Inline[] }) {
  return parts.map((part, place) => <Part key={place} part={part} />);
}

function Part({ part }: { part: Inline }) {
  if (typeof part === "string") return <Marked text={part} />;
  switch (part.kind) {
    case "link":
      return (
        <Link to={VIEWS[part.to]} params={{ id: part.id }}>
          {part.text}
        </Link>
      );
    case "state":
      return <State of={part.state}>{part.text || stateWords(part.state)}</State>;
    case "id":
      return null;
  }
}

const isId = (part: Inline) => typeof part !== "string" && part.kind === "id";
