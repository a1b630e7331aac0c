/** Rows under named columns; `last` names one that only a screen reader tells of, such as that of buttons. */
import type { ReactNode } from "react";

export function Table({ name, heads, last, children }: { name: string; heads: string[]; last?: string; children: ReactNode }) {
  return (
    // biome-ignore-start lint/a11y: what scrolls on a phone must be reached by keyboard, and a group is no landmark
    <div className="table" role="group" tabIndex={0} aria-label={name}>
      <table>
        <thead>
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
        <tbody>{children}</tbody>
      </table>
    </div>
    // biome-ignore-end lint/a11y: so far
  );
}
