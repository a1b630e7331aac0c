/** Results of checks: what was looked at, what there is, and what to do about it. */
import { i18n } from "@lingui/core";
import { msg, t } from "@lingui/core/macro";
import type { Check } from "../api/client";
import { State, Table } from "../kit/kit";
import { Marked } from "../kit/Marked";

const WORDS = { green: msg`ok`, amber: msg`look at this`, red: msg`broken` };

export const levelWords = (level: Check["level"]) => i18n.t(WORDS[level]);

export function Checks({ name, of }: { name: string; of: readonly Check[] }) {
  return (
    <Table name={name} heads={[t`Part`, t`What there is, and what to do`]}>
      {of.map((one) => (
        <tr key={one.name}>
          <th scope="row">
            <div className="row apart">
              {one.name} <State of={one.level}>{levelWords(one.level)}</State>
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
  );
}
