/** The whole installation in one sentence, and its parts, the worst first. */
import { t } from "@lingui/core/macro";
import { Link } from "@tanstack/react-router";
import { ErrorNotice, State } from "../kit/kit";
import { Marked } from "../kit/Marked";
import { moment } from "../videos/words";
import { Checks, levelWords } from "./Checks";
import { useHealth } from "./useHealth";

const LOOKED_AT_MS = 30_000;

export function HealthView() {
  const { data, error } = useHealth(true, LOOKED_AT_MS);
  return (
    <div className="stack">
      <div className="row apart">
        <h1>{t`Health`}</h1>
        <Link to="/run/doctor">{t`Doctor: what a video needs on the machine of the server`}</Link>
      </div>
      {error && <ErrorNotice error={error} />}
      {!data && !error && <p className="empty">{t`One moment`}</p>}
      {data && (
        <>
          <article className="card stack" aria-label={t`The installation`}>
            <div className="row">
              <State of={data.level}>{levelWords(data.level)}</State>
              <span className="quiet">{t`checked ${moment(data.at)}`}</span>
            </div>
            <p role="status">
              <Marked text={data.sentence} />
            </p>
          </article>
          <Checks name={t`Parts of the installation`} of={data.checks} />
        </>
      )}
    </div>
  );
}
