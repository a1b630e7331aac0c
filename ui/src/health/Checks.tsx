/** Results of checks: what was looked at, what there is, and what to do about it. */
import { i18n, type MessageDescriptor } from "@lingui/core";
import { msg, plural, t } from "@lingui/core/macro";
import { Link } from "@tanstack/react-router";
import type { Check } from "../api/client";
import { State, Table } from "../kit/kit";
import { Marked } from "../kit/Marked";

/** Where that can be done what a check asks for. */
const VIEWS_OF: Record<string, readonly ["/run/approvals", MessageDescriptor]> = {
  "approval.waits": ["/run/approvals", msg`Open approvals`],
};
/** Where fewer are well, all are shown. */
const MIN_FOLDED = 6;

const WORDS = { green: msg`ok`, amber: msg`look at this`, red: msg`broken` };

export const levelWords = (level: Check["level"]) => i18n.t(WORDS[level]);

/** Those to look at first; many that are well are folded. */
export function Checks({ name, of }: { name: string; of: readonly Check[] }) {
  const well = of.filter((one) => one.level === "green");
  const others = [...of.filter((one) => one.level === "red"), ...of.filter((one) => one.level === "amber")];
  if (well.length < MIN_FOLDED) return <CheckTable name={name} of={[...others, ...well]} />;
  return (
    <>
      {others.length > 0 && <CheckTable name={name} of={others} />}
      <details open={others.length === 0}>
        <summary>{t`${plural(well.length, { one: "# part is well", other: "# parts are well" })}`}</summary>
        <CheckTable name={t`Parts that are well`} of={well} />
      </details>
    </>
  );
}

function CheckTable({ name, of }: { name: string; of: readonly Check[] }) {
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
                <CheckLink of={one} /> <Marked text={one.fix} />
              </div>
            )}
          </td>
        </tr>
      ))}
    </Table>
  );
}

function CheckLink({ of }: { of: Check }) {
  const view = VIEWS_OF[of.code ?? ""];
  return view ? <Link to={view[0]}>{i18n.t(view[1])}</Link> : null;
}
