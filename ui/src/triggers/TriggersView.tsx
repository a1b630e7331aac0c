/** What is planned for a time or an event: list it, cancel it, see what became of it. */
import { t } from "@lingui/core/macro";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { api, body } from "../api/client";
import { suggest } from "../chat/suggestion";
import { ConfirmedAction } from "../kit/ConfirmedAction";
import { callWords } from "../kit/calls";
import { ErrorNotice, NoRows, State, Table } from "../kit/kit";
import { usePrincipal } from "../shell/me";
import { when } from "../videos/words";

const useTriggers = (ended: boolean) =>
  useQuery({
    queryKey: ["triggers", ended ? "ended" : "waiting"],
    queryFn: () => body(api.GET("/api/triggers", { params: { query: { ended } } })),
  });

type Trigger = NonNullable<ReturnType<typeof useTriggers>["data"]>[number];

export function TriggersView() {
  const { permissions } = usePrincipal();
  const mayPlan = permissions.includes("trigger:create") && permissions.includes("chat:use");
  const mayCancel = permissions.includes("trigger:cancel");
  const open = useTriggers(false);
  const ended = useTriggers(true);
  return (
    <div className="stack">
      <div className="row apart">
        <h1>{t`Planned`}</h1>
        {mayPlan && (
          <button
            type="button"
            className="primary"
            onClick={() => suggest(t`Every Monday at 9, make a video where Nova says: Good morning.`)}
          >
            {t`Plan a video`}
          </button>
        )}
      </div>
      <NoRows of={open}>
        {t`Nothing is planned. Say it in the conversation: “every Monday at 9, make a video where Nova says hello”.`}
      </NoRows>
      {(open.data?.length ?? 0) > 0 && (
        <Table name={t`What is planned`} heads={[t`Plan`]} last={t`Actions`}>
          {open.data?.map((one) => (
            <tr key={one.id}>
              <What trigger={one} at={one.fires_at} />
              <td>{mayCancel && one.state === "waiting" && <Cancel trigger={one} />}</td>
            </tr>
          ))}
        </Table>
      )}
      {ended.error && <ErrorNotice error={ended.error} />}
      {(ended.data?.length ?? 0) > 0 && (
        <>
          <h2>{t`Ended`}</h2>
          <Table name={t`What is over`} heads={[t`What`, t`Result`]}>
            {ended.data?.map((one) => (
              <tr key={one.id}>
                <What trigger={one} at={one.fired_at} />
                <td>{one.result}</td>
              </tr>
            ))}
          </Table>
        </>
      )}
    </div>
  );
}

function What({ trigger, at }: { trigger: Trigger; at: string | null }) {
  const calls = trigger.calls.map((call) => callWords(call.tool, call.arguments)).join(", ");
  return (
    <th scope="row">
      <strong>{trigger.text}</strong>
      <div className="row quiet">
        <State of={trigger.state} />
        {[at && when(at), calls].filter(Boolean).join(" · ")}
      </div>
    </th>
  );
}

function Cancel({ trigger }: { trigger: Trigger }) {
  const queries = useQueryClient();
  return (
    <ConfirmedAction
      label={t`Cancel`}
      about={trigger.text}
      title={t`Cancel what is planned?`}
      confirmLabel={t`Cancel it`}
      action={() => api.POST("/api/triggers/{trigger_id}/cancel", { params: { path: { trigger_id: trigger.id } } })}
      onSettled={() => queries.invalidateQueries({ queryKey: ["triggers"] })}
    >
      <p>{trigger.text}</p>
    </ConfirmedAction>
  );
}
