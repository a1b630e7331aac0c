/** The whole installation in one sentence, and its parts, the worst first. */
import { ErrorNotice, State, Table } from "../kit/kit";
import { Marked } from "../kit/Marked";
import { moment } from "../videos/words";
import { useHealth } from "./useHealth";

const WORDS = { green: "ok", amber: "works with less", red: "broken" };

export function HealthView() {
  const { data, error } = useHealth();
  return (
    <div className="stack">
      <h1>Health</h1>
      {error && <ErrorNotice error={error} />}
      {!data && !error && <p className="empty">One moment</p>}
      {data && (
        <>
          <article className="card stack" aria-label="The installation">
            <div className="row">
              <State of={data.level}>{WORDS[data.level]}</State>
              <span className="quiet">checked {moment(data.at)}</span>
            </div>
            <p role="status">
              <Marked text={data.sentence} />
            </p>
          </article>
          <Table name="Parts of the installation" heads={["Part", "What there is, and what to do"]}>
            {data.checks.map((one) => (
              <tr key={one.name}>
                <th scope="row">
                  {one.name}
                  <div>
                    <State of={one.level}>{WORDS[one.level]}</State>
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
