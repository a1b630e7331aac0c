/** Links that show one film to whoever has them: made with an end, shown once, listed with their use, revoked. */

import { msg, plural, t } from "@lingui/core/macro";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, body, type CreatedShareLink, type Me, type Render, type ShareLink } from "../api/client";
import { ShareLinkDraft } from "../api/limits";
import { serverNow } from "../api/reachable";
import { ConfirmedAction } from "../kit/ConfirmedAction";
import { CopyField } from "../kit/CopyField";
import { Field } from "../kit/Field";
import { Form, FormError } from "../kit/Form";
import { ErrorNotice, State } from "../kit/kit";
import { personWords } from "../kit/person";
import { Select } from "../kit/Select";
import { when } from "./words";

const DAY_MS = 86_400_000;
const LIFETIMES = { "1": msg`a day`, "7": msg`a week`, "30": msg`30 days`, date: msg`until a date` };

interface Props {
  render: Render;
  me: Me;
  /** Whether the form of a new link is open. */
  making: boolean;
  onMaking: (making: boolean) => void;
}

export function ShareLinks({ render, me, making, onMaking }: Props) {
  const queries = useQueryClient();
  const [fresh, setFresh] = useState<CreatedShareLink | null>(null);
  const found = useQuery({
    queryKey: ["share-links", render.id],
    queryFn: () => body(api.GET("/api/renders/{render_id}/links", { params: { path: { render_id: render.id } } })),
  });
  const changed = () => queries.invalidateQueries({ queryKey: ["share-links", render.id] });
  const rows = found.data ?? [];
  return (
    <section className="stack" aria-labelledby="links-title">
      <div className="row apart">
        <h2 id="links-title">{t`Links`}</h2>
        {me.permissions.includes("link:create") && (
          <button type="button" aria-expanded={making} onClick={() => onMaking(!making)}>{t`New link`}</button>
        )}
      </div>
      {found.error && <ErrorNotice error={found.error} />}
      {making && (
        <NewLink
          render={render}
          onCreated={(link) => {
            setFresh(link);
            onMaking(false);
            void changed();
          }}
        />
      )}
      {fresh && <Fresh link={fresh} onClose={() => setFresh(null)} />}
      {found.data && rows.length === 0 && !making && (
        <p className="quiet">{t`None yet. Whoever has a link sees this video without a login, until the link ends.`}</p>
      )}
      {rows.length > 0 && (
        <p className="quiet">{t`The address of a link is shown once, when it is made: make a new one to share again.`}</p>
      )}
      <ul className="stack">
        {rows.map((one) => (
          <li key={one.id} className="card row apart">
            <div className="stack link">
              <span className="row">
                <strong>{one.name || t`without a name`}</strong>
                <State of={one.state} />
              </span>
              <span className="quiet">{factsOf(one)}</span>
            </div>
            {one.state === "active" && me.permissions.includes("link:revoke") && (
              <Revoke render={render} link={one} onSettled={changed} />
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Until when, from whom, and how it was used. */
function factsOf(link: ShareLink): string {
  const { uses } = link;
  const end = when(link.expires_at);
  const fate = link.state === "active" ? t`works until ${end}` : t`ended ${end}`;
  return [
    link.revoked_at ? t`revoked ${when(link.revoked_at)}` : fate,
    t`made by ${personWords(link.created_by)}`,
    plural(uses, { one: "opened once", other: "opened # times" }),
    link.last_used_at ? t`last used ${when(link.last_used_at)}` : "",
  ]
    .filter(Boolean)
    .join(" · ");
}

function NewLink({ render, onCreated }: { render: Render; onCreated: (link: CreatedShareLink) => void }) {
  const [name, setName] = useState("");
  const [lifetime, setLifetime] = useState<keyof typeof LIFETIMES>("7");
  const [date, setDate] = useState("");
  const create = useMutation({
    mutationFn: async () =>
      body(
        api.POST("/api/renders/{render_id}/links", {
          params: { path: { render_id: render.id } },
          body: { name: name.trim(), expires_at: await endOf(lifetime, date) },
        }),
      ),
    onSuccess: onCreated,
  });
  return (
    <Form className="card stack" aria-label={t`New link`} error={create.error} onSubmit={create.mutate}>
      <div className="row new-link">
        <Field
          className="wide"
          autoFocus
          of={ShareLinkDraft}
          name="name"
          label={t`Who or what it is for (viewers do not see it)`}
          value={name}
          onChange={setName}
        />
        <Select label={t`It works for`} value={lifetime} onChange={setLifetime} of={LIFETIMES} />
        {lifetime === "date" && (
          <Field type="date" of={ShareLinkDraft} name="expires_at" label={t`Last day`} value={date} onChange={setDate} />
        )}
        <button type="submit" className="primary" disabled={create.isPending}>{t`Create link`}</button>
      </div>
      <FormError />
    </Form>
  );
}

/** The last day counts to its end, where this browser is. */
async function endOf(lifetime: keyof typeof LIFETIMES, date: string): Promise<string> {
  if (lifetime !== "date") return new Date((await serverNow()) + Number(lifetime) * DAY_MS).toISOString();
  return new Date(`${date}T23:59:59`).toISOString();
}

function Fresh({ link, onClose }: { link: CreatedShareLink; onClose: () => void }) {
  return (
    <section className="card stack" role="alert" aria-label={t`The new link`}>
      <p>{t`The link is shown this once: nobody can look it up later. It works until ${when(link.expires_at)}.`}</p>
      <CopyField label={t`Address of the link`} value={link.url} />
      <div className="row">
        <button type="button" onClick={onClose}>{t`I have it`}</button>
      </div>
    </section>
  );
}

function Revoke({ render, link, onSettled }: { render: Render; link: ShareLink; onSettled: () => unknown }) {
  const name = link.name || link.id;
  const path = { render_id: render.id, link_id: link.id };
  return (
    <ConfirmedAction
      label={t`Revoke`}
      about={name}
      title={t`Revoke the link “${name}”?`}
      confirmLabel={t`Revoke this link`}
      action={() => api.DELETE("/api/renders/{render_id}/links/{link_id}", { params: { path } })}
      onSettled={onSettled}
    >
      <p>{t`Whoever has it sees the video no more, at once. It cannot be taken back.`}</p>
    </ConfirmedAction>
  );
}
