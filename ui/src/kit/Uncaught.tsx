/** Shows errors that nobody caught: a page that is broken in silence looks as if it were waiting. */
import { t } from "@lingui/core/macro";
import { Component, type ReactNode, useEffect, useState } from "react";
import { Problem } from "../api/problem";
import { ErrorNotice } from "./kit";

export const problemFor = (reason: unknown) =>
  reason instanceof Problem
    ? reason
    : new Problem(
        t`The page made a mistake: ${String((reason as Error)?.message ?? reason)}`,
        "page.uncaught",
        t`Load the page again; what was begun goes on at the server.`,
      );

/** Errors of event handlers, timers and promises. */
export function Uncaught() {
  const [problem, setProblem] = useState<Problem | null>(null);
  useEffect(() => {
    const failed = (event: ErrorEvent) => {
      // Browsers tell of a harmless delay in this way, and of scripts of extensions without saying what.
      if (event.error) setProblem(problemFor(event.error));
    };
    const refused = (event: PromiseRejectionEvent) => {
      if ((event.reason as Error)?.name !== "AbortError") setProblem(problemFor(event.reason));
    };
    addEventListener("error", failed);
    addEventListener("unhandledrejection", refused);
    return () => {
      removeEventListener("error", failed);
      removeEventListener("unhandledrejection", refused);
    };
  }, []);
  if (!problem) return null;
  return (
    <div className="uncaught">
      <ErrorNotice error={problem} />
      <button type="button" onClick={() => setProblem(null)}>{t`Close`}</button>
    </div>
  );
}

interface Shown {
  problem: Problem | null;
}

/** Errors while something is drawn: it is replaced by `fallback`, or by what went wrong. Another `key` tries again. */
export class Boundary extends Component<{ children: ReactNode; fallback?: ReactNode }, Shown> {
  override state: Shown = { problem: null };

  static getDerivedStateFromError(error: unknown): Shown {
    return { problem: problemFor(error) };
  }

  override render() {
    if (!this.state.problem) return this.props.children;
    return this.props.fallback === undefined ? <BrokenView problem={this.state.problem} /> : this.props.fallback;
  }
}

export function BrokenView({ problem }: { problem: Problem }) {
  return (
    <div className="stack">
      <ErrorNotice error={problem} />
      <div className="row">
        <button type="button" onClick={() => location.reload()}>{t`Load the page again`}</button>
      </div>
    </div>
  );
}
