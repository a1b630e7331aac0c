/** What a film needs on the machine of the server: examined when asked for, and told as a text for a report. */
import { t } from "@lingui/core/macro";
import { Link } from "@tanstack/react-router";
import type { DoctorReport } from "../api/client";
import { Checks } from "../health/Checks";
import { CopyButton } from "../kit/CopyButton";
import { Empty, ErrorNotice, State } from "../kit/kit";
import { moment, number } from "../videos/words";
import { useDoctor } from "./useDoctor";
import "./settings.css";

/** Lines as `soundstage doctor` prints them, in English as the server says them: for a report to others. */
export const reportText = ({ at, checks }: DoctorReport) =>
  [
    `soundstage doctor, ${at}`,
    ...checks.flatMap(({ level, name, found, fix, code }) => [
      `${level.padEnd(5)}  ${name}: ${found}${code ? ` (${code})` : ""}`,
      ...(fix ? [`       ${fix}`] : []),
    ]),
  ].join("\n");

export function DoctorView() {
  const { report, examine } = useDoctor();
  return (
    <div className="stack">
      <div className="row apart">
        <h1>{t`Doctor`}</h1>
        <div className="row">
          {report && <CopyButton text={reportText(report)} label={t`Copy as text`} />}
          <button type="button" className="primary" disabled={examine.isPending} onClick={() => examine.mutate()}>
            {examine.isPending ? t`Looking…` : report ? t`Run again` : t`Run checks`}
          </button>
        </div>
      </div>
      <p className="quiet">
        {t`Looks at everything that a video needs on the machine of the server, which takes some seconds. Whether videos are being made is told by:`}{" "}
        <Link to="/run/health">{t`Health`}</Link>
      </p>
      <Examination report={report} pending={examine.isPending} />
      {!report && !examine.isPending && <Empty>{t`Nobody has looked during this visit yet.`}</Empty>}
      {examine.error && <ErrorNotice error={examine.error} />}
      {report && <Checks name={t`What was looked at`} of={report.checks} />}
    </div>
  );
}

/** How it went, in a line. */
export function Examination({ report, pending }: { report: DoctorReport | undefined; pending: boolean }) {
  const count = (level: string) => report?.checks.filter((one) => one.level === level).length ?? 0;
  const [red, amber] = [count("red"), count("amber")];
  const seconds = number((report?.duration_ms ?? 0) / 1000, 1);
  return (
    <p role="status" className="row">
      {pending ? (
        t`The machine is looked at.`
      ) : report ? (
        <>
          <State of={red > 0 ? "red" : amber > 0 ? "amber" : "green"}>
            {red > 0 ? t`${red} to mend` : amber > 0 ? t`videos can be made` : t`all is well`}
          </State>
          {amber > 0 && <span>{t`${amber} to look at`}</span>}
          <span className="quiet">{t`${moment(report.at)}, in ${seconds} s`}</span>
        </>
      ) : null}
    </p>
  );
}
