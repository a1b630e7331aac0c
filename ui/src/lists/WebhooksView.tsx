/** Webhooks: addresses that this server calls when films and publications end, with what was delivered to them. */
import { t } from "@lingui/core/macro";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { api, body, type Webhook } from "../api/client";
import { WebhookDraft } from "../api/limits";
import { ConfirmedAction } from "../kit/ConfirmedAction";
import { Field } from "../kit/Field";
import { Form, FormError } from "../kit/Form";
import { ErrorNotice, NoRows, State, Table } from "../kit/kit";
import { usePrincipal } from "../shell/me";
import { when } from "../videos/words";
import { useSecrets } from "./SecretOnce";
import "./lists.css";

/** What receivers ask for most; none stands for everything. */
const KINDS = ["render.done", "render.failed", "publication.published", "publication.failed"] as const;
type Kind = (typeof KINDS)[number];

export function WebhooksView() {
  const { permissions } = usePrincipal();
  const queries = useQueryClient();
  const webhooks = useQuery({ queryKey: ["webhooks"], queryFn: () => body(api.GET("/api/webhooks")) });
  const changed = () => queries.invalidateQueries({ queryKey: ["webhooks"] });
  const [secrets, show] = useSecrets();
  return (
    <div className="stack">
      <h1>{t`Webhooks`}</h1>
      {permissions.includes("webhook:create") && (
        <NewWebhook
          onCreated={(url, value) => {
            show({ name: url, value });
            void changed();
          }}
        />
      )}
      {secrets}
      <NoRows of={webhooks}>{t`None yet. A webhook tells another program when a video is done or was published.`}</NoRows>
      <ul className="stack">
        {webhooks.data?.map((one) => (
          <Card key={one.id} of={one} onChanged={changed} />
        ))}
      </ul>
    </div>
  );
}

function NewWebhook({ onCreated }: { onCreated: (url: string, secret: string) => void }) {
  const [url, setUrl] = useState("");
  const [kinds, setKinds] = useState<readonly Kind[]>([]);
  const create = useMutation({
    mutationFn: () => body(api.POST("/api/webhooks", { body: { url, kinds: [...kinds], description: "" } })),
    onSuccess: ({ secret }) => {
      onCreated(url, secret);
      setUrl("");
    },
  });
  return (
    <Form className="card stack new-thing" error={create.error} onSubmit={create.mutate}>
      <div className="row">
        <Field
          className="wide"
          type="url"
          of={WebhookDraft}
          name="url"
          label={t`Address of the program`}
          value={url}
          onChange={setUrl}
        />
        <button type="submit" className="primary" disabled={create.isPending}>{t`Create webhook`}</button>
      </div>
      <fieldset className="row kinds">
        <legend>{t`Events to send (none ticked: all)`}</legend>
        {KINDS.map((kind) => (
          <label key={kind} className="row">
            <input
              type="checkbox"
              checked={kinds.includes(kind)}
              onChange={({ target }) => setKinds(target.checked ? [...kinds, kind] : kinds.filter((one) => one !== kind))}
            />
            <code>{kind}</code>
          </label>
        ))}
      </fieldset>
      <FormError />
    </Form>
  );
}

function Card({ of, onChanged }: { of: Webhook; onChanged: () => unknown }) {
  const { permissions } = usePrincipal();
  const queries = useQueryClient();
  const [open, setOpen] = useState(false);
  const path = { webhook_id: of.id };
  const mayChange = permissions.includes("webhook:update");
  const act = useMutation({
    mutationFn: async (what: "test" | "switch") =>
      what === "test"
        ? await api.POST("/api/webhooks/{webhook_id}/test", { params: { path } })
        : await api.PATCH("/api/webhooks/{webhook_id}", { params: { path }, body: { active: !of.active } }),
    onSuccess: (_, what) => what === "test" && setOpen(true),
    onSettled: () => Promise.all([onChanged(), queries.invalidateQueries({ queryKey: ["deliveries", of.id] })]),
  });
  return (
    <li className="card stack">
      <div className="row apart">
        <strong className="name">{of.url}</strong>
        <State of={of.active ? "active" : "off"}>{of.active ? t`active` : t`off`}</State>
      </div>
      {of.description && <p>{of.description}</p>}
      <p className="quiet">{of.kinds.length > 0 ? of.kinds.join(", ") : t`all events`}</p>
      {of.ended_because && <p className="problem">{of.ended_because}</p>}
      <div className="row">
        <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>{t`What was delivered`}</button>
        {mayChange && (
          <>
            <button
              type="button"
              disabled={act.isPending || !of.active}
              onClick={() => act.mutate("test")}
            >{t`Send a test`}</button>
            <button type="button" disabled={act.isPending} onClick={() => act.mutate("switch")}>
              {of.active ? t`Switch off` : t`Switch on`}
            </button>
          </>
        )}
        {permissions.includes("webhook:delete") && (
          <ConfirmedAction
            label={t`Delete`}
            about={of.url}
            title={t`Delete this webhook?`}
            confirmLabel={t`Delete the webhook`}
            action={() => api.DELETE("/api/webhooks/{webhook_id}", { params: { path } })}
            onSettled={onChanged}
          >
            <p>{t`${of.url} is told nothing any more, and what was delivered is forgotten.`}</p>
          </ConfirmedAction>
        )}
      </div>
      {act.error && <ErrorNotice error={act.error} />}
      {open && <Deliveries of={of} mayRepeat={mayChange} onEnded={onChanged} />}
    </li>
  );
}

const AGAIN_MS = 2000;

function Deliveries({ of, mayRepeat, onEnded }: { of: Webhook; mayRepeat: boolean; onEnded: () => unknown }) {
  const found = useQuery({
    queryKey: ["deliveries", of.id],
    queryFn: () => body(api.GET("/api/webhooks/{webhook_id}/deliveries", { params: { path: { webhook_id: of.id } } })),
    // Only while one is on its way.
    refetchInterval: ({ state }) => (state.data?.some((one) => one.state === "pending") ? AGAIN_MS : false),
  });
  // A delivery that fails for good may end its webhook.
  const failures = found.data?.reduce((sum, one) => sum + (one.state === "failed" ? one.tries : 0), 0) ?? 0;
  const ended = useRef(onEnded);
  ended.current = onEnded;
  useEffect(() => {
    if (failures > 0) void ended.current();
  }, [failures]);
  const repeat = useMutation({
    mutationFn: (delivery_id: string) =>
      api.POST("/api/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver", {
        params: { path: { webhook_id: of.id, delivery_id } },
      }),
    onSettled: () => found.refetch(),
  });
  return (
    <>
      <NoRows of={found}>{t`Nothing was delivered yet.`}</NoRows>
      {found.data && found.data.length > 0 && (
        <Table name={t`Deliveries`} heads={[t`What`, t`State`, t`Answer`, t`When`]} last={t`Actions`}>
          {found.data.map((one) => {
            const last = one.log.at(-1);
            return (
              <tr key={one.id}>
                <th scope="row">{one.kind}</th>
                <td>
                  <State of={one.state} />
                </td>
                <td>{last ? last.error || String(last.status ?? "") : "–"}</td>
                <td className="when">{when(one.created_at)}</td>
                <td>
                  {mayRepeat && one.ended_at && (
                    <button
                      type="button"
                      disabled={repeat.isPending}
                      onClick={() => repeat.mutate(one.id)}
                    >{t`Send again`}</button>
                  )}
                </td>
              </tr>
            );
          })}
        </Table>
      )}
      {repeat.error && <ErrorNotice error={repeat.error} />}
    </>
  );
}
