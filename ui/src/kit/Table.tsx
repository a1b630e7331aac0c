/** Rows under named columns; `last` names one that only a screen reader tells of, such as that of buttons. Where it is
 * narrow, each row of a table of three columns or more stands as a card, with the column's name before each value. */
import { type ReactNode, useLayoutEffect, useRef } from "react";

interface Props {
  name: string;
  heads: string[];
  last?: string | undefined;
  children: ReactNode;
}

export function Table({ name, heads, last, children }: Props) {
  const table = useRef<HTMLTableElement>(null);
  const isStacked = heads.length + (last ? 1 : 0) > 2;
  // Some browsers forget what rows and cells are once they are shown as blocks.
  useLayoutEffect(() => {
    for (const row of isStacked ? (table.current?.rows ?? []) : []) {
      row.role = "row";
      for (const cell of row.cells) {
        cell.role = cell.tagName === "TD" ? "cell" : cell.scope === "row" ? "rowheader" : "columnheader";
        cell.dataset.label = cell.colSpan > 1 ? "" : (heads[cell.cellIndex] ?? "");
      }
    }
  });
  return (
    // biome-ignore-start lint/a11y: what scrolls on a phone must be reached by keyboard, and a group is no landmark
    <div className={isStacked ? "table stacked" : "table"} role="group" tabIndex={0} aria-label={name}>
      <table role="table" ref={table}>
        <thead role="rowgroup">
          <tr>
            {heads.map((head) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
            {last && (
              <th scope="col">
                <span className="visually-hidden">{last}</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody role="rowgroup">{children}</tbody>
      </table>
    </div>
    // biome-ignore-end lint/a11y: so far
  );
}
