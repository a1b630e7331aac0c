/** The first steps in short, on the start of the page, until they are done or the reminder is put away. */
import { i18n } from "@lingui/core";
import { t } from "@lingui/core/macro";
import { Link } from "@tanstack/react-router";
import { usePrincipal } from "../shell/me";
import { STEP_NAMES, useChangeFirstRun, useFirstRun } from "./useFirstRun";
import "./reminder.css";

export function FirstRunReminder() {
  const me = usePrincipal();
  const change = useChangeFirstRun();
  // Without it the page loses nothing: an error is told on the view itself.
  const run = useFirstRun().data;
  if (!run || run.finished || run.dismissed) return null;
  const steps = run.steps.filter((one) => one.needed);
  return (
    <section className="card reminder" aria-label={t`First steps`}>
      <div className="stack">
        <h2>{t`First steps`}</h2>
        <ol>
          {steps.map((one) => (
            <li key={one.step} data-state={one.state}>
              {i18n.t(STEP_NAMES[one.step])}
              {one.state !== "open" && <span className="visually-hidden"> ({one.state === "done" ? t`done` : t`skipped`})</span>}
            </li>
          ))}
        </ol>
      </div>
      <div className="row">
        <Link className="button" to="/welcome">
          {steps.some((one) => one.state !== "open") ? t`Go on` : t`Begin`}
        </Link>
        {me.permissions.includes("first_run:update") && (
          <button
            type="button"
            className="plain"
            disabled={change.isPending}
            onClick={() => change.mutate({ dismissed: true })}
          >{t`Put away`}</button>
        )}
      </div>
    </section>
  );
}
