/** Small parts that every view uses. */
import type { ReactNode } from "react";
import { Problem } from "../api/problem";
import { Told } from "./Told";

export { State } from "./State";

export function Trouble({ error }: { error: unknown }) {
  const found = error instanceof Problem ? error : new Problem(String((error as Error)?.message ?? error));
  return (
    <div className="problem" role="alert">
      <strong>
        <Told text={found.message} />
      </strong>{" "}
      <Told text={found.hint} /> <code>{found.code}</code>
    </div>
  );
}

export function Empty({ children }: { children: ReactNode }) {
  return <p className="empty">{children}</p>;
}
