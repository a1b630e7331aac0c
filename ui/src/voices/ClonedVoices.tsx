/** The voices of people that a speech service has cloned, and how to take them back. */
import { t } from "@lingui/core/macro";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { api, body, type Me } from "../api/client";
import { ConfirmedAction } from "../kit/ConfirmedAction";
import { ErrorNotice, Table } from "../kit/kit";
import { when } from "../videos/words";
import { removeVoice } from "./ownVoice";

const READY = "ready";
const GONE = "removed";

export function ClonedVoices({ me }: { me: Me }) {
  const queries = useQueryClient();
  const list = useQuery({
    queryKey: ["voices"],
    queryFn: () => body(api.GET("/api/voices")),
    enabled: me.permissions.includes("voice:read"),
  });
  const voices = list.data?.filter((one) => one.state !== GONE) ?? [];
  if (list.error) return <ErrorNotice error={list.error} />;
  if (voices.length === 0) return null;
  return (
    <section className="stack" aria-label={t`Cloned voices`}>
      <h2>{t`Cloned voices`}</h2>
      <Table name={t`Cloned voices`} heads={[t`Name`, t`Person`, t`Speech service`, t`Added`]} last={t`Actions`}>
        {voices.map((one) => (
          <tr key={one.id}>
            <th scope="row">
              {one.name}
              {one.state !== READY && <div className="quiet">{t`It is not known whether the service has it.`}</div>}
            </th>
            <td>{one.consent.person}</td>
            <td className="mono">{one.service}</td>
            <td>{when(one.created_at)}</td>
            <td>
              {me.permissions.includes("voice:delete") && (
                <ConfirmedAction
                  label={t`Remove`}
                  about={one.name}
                  title={t`Remove the voice ${one.name}?`}
                  confirmLabel={t`Remove this voice`}
                  action={() => removeVoice(one.id)}
                  onSettled={() => queries.invalidateQueries({ queryKey: ["voices"] })}
                >
                  <p>{t`The speech service deletes it, its sample is deleted here, and its consent ends. Presenters that speak with it speak no more.`}</p>
                </ConfirmedAction>
              )}
            </td>
          </tr>
        ))}
      </Table>
    </section>
  );
}
