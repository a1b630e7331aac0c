/** The whole installation in one sentence, and its parts, the worst first. */
import { i18n } from "@lingui/core";
import { msg, t } from "@lingui/core/macro";
import { ErrorNotice, State, Table } from "../kit/kit";
import { Marked } from "../kit/Marked";
import { moment } from "../videos/words";
import { useHealth } from "./useHealth";

const WORDS = { green: msg`ok`, amber: msg`works with less`, red: msg`broken` };

export function HealthView() {
  const { data, error } = useHealth();
  return (
    <div className="stack">
      <h1>{t`Health`}</h1>
      {error && <ErrorNotice error={error} />}
      {!data && !error && <p className="empty">{t`One moment`}</p>}
      {data && (
        <>
          <article className="card stack" aria-label={t`The installation`}>
            <div className="row">
              <State of={data.level}>{i18n.t(WORDS[data.level])}</State>
              <span className="quiet">{t`checked ${moment(data.at)}`}</span>
            </div>
            <p role="status">
              <Marked text={data.sentence} />
            </p>
          </article>
          <Table name={t`Parts of the installation`} heads={[t`Part`, t`What there is, and what to do`]}>
            {data.checks.map((one) => (
              <tr key={one.name}>
                <th scope="row">
                  {one.name}
                  <div>
                    <State of={one.level}>{i18n.t(WORDS[one.level])}</State>
                  </div>
                </th>
                <td>
                  <Marked text={one.found} /> {one.code && <code className="quiet">{one.code}</code>}
                  {one.fix && (
                    <div>
                      <Marked text={one.fix} />
                    </div>
                  )}
                </td>
              </tr>
            ))}
          </Table>
        </>
      )}
    </div>
  );
}
