/** Rows under named columns; `last` names one that only a screen reader tells of, such as that of buttons. On a phone there
 * is no room for the columns `spare`, by number; their cells have a class of that name. */
import type { ReactNode } from "react";

interface Props {
  name: string;
  heads: string[];
  last?: string | undefined;
  spare?: readonly number[];
  children: ReactNode;
}

export function Table({ name, heads, last, spare = [], children }: Props) {
  return (
    // biome-ignore-start lint/a11y: what scrolls on a phone must be reached by keyboard, and a group is no landmark
    <div className="table" role="group" tabIndex={0} aria-label={name}>
      <table>
        <thead>
          <tr>
            {heads.map((head, at) => (
              <th key={head} scope="col" className={spare.includes(at) ? "spare" : undefined}>
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
        <tbody>{children}</tbody>
      </table>
    </div>
    // biome-ignore-end lint/a11y: so far
  );
}
