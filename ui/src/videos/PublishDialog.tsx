/** Publishing one film: connect a channel, fill in what YouTube is told, see it to the letter, send it. */

import { i18n } from "@lingui/core";
import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, body, type PublicationPlan, type PublishRequest, type Render } from "../api/client";
import { PublishRequest as Limits } from "../api/limits";
import { Problem } from "../api/problem";
import { Facts } from "../kit/Facts";
import { Field } from "../kit/Field";
import { Form, FormError } from "../kit/Form";
import { ErrorNotice } from "../kit/kit";
import { Modal } from "../kit/Modal";
import { listFault } from "../kit/rules";
import { Select } from "../kit/Select";
import { usePrincipal } from "../shell/me";
import { PRIVACIES } from "./Publications";
import { mebibytes, number, when } from "./words";

const WAIT_FOR_CONSENT_MS = 2000;

interface Props {
  render: Render;
  /** What was wished for the last time. */
  before: PublishRequest | undefined;
  onClose: () => void;
}

export function PublishDialog({ render, before, onClose }: Props) {
  const queries = useQueryClient();
  const [connecting, setConnecting] = useState(false);
  const accounts = useQuery({
    queryKey: ["youtube-accounts"],
    queryFn: () => body(api.GET("/youtube/accounts")),
    // Consent is given on another page, which tells this one nothing.
    refetchInterval: connecting ? WAIT_FOR_CONSENT_MS : false,
  });
  const usable = accounts.data?.filter((one) => one.usable) ?? [];
  const [wishes, setWishes] = useState<PublishRequest>(() => ({
    title: render.title,
    description: "",
    tags: [],
    category: "22",
    privacy: "private",
    made_for_kids: false,
    synthetic: true,
    synthetic_reason: "",
    notify_subscribers: false,
    captions: true,
    thumbnail: true,
    again: false,
    ...before,
  }));
  const path = { render_id: render.id };
  // The server counts channels that have to be connected again, too.
  const request = { ...wishes, account: wishes.account ?? (usable.length === 1 ? (usable[0]?.id ?? null) : null) };
  const plan = useMutation({
    mutationFn: () => body(api.POST("/api/renders/{render_id}/publish/plan", { params: { path }, body: request })),
  });
  const publish = useMutation({
    mutationFn: () => body(api.POST("/api/renders/{render_id}/publish", { params: { path }, body: request })),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ["publications"] });
      onClose();
    },
  });
  const change = (values: Partial<PublishRequest>) => setWishes((now) => ({ ...now, ...values }));
  return (
    <Modal title={t`Publish “${render.title}” on YouTube`} size="wide" onClose={() => publish.isPending || onClose()}>
      {accounts.error && <ErrorNotice error={accounts.error} />}
      {accounts.data && usable.length === 0 && <Connect connecting={connecting} onConnecting={setConnecting} />}
      {usable.length > 0 && !plan.data && (
        <Details wishes={wishes} channels={usable} error={plan.error} onChange={change} onNext={plan.mutate} />
      )}
      {plan.data && <Plan plan={plan.data} wishes={wishes} />}
      {publish.error && <ErrorNotice error={publish.error} />}
      <div className="row ends">
        <button type="button" disabled={publish.isPending} onClick={onClose}>{t`Cancel`}</button>
        {plan.data && (
          <>
            <button type="button" onClick={plan.reset}>{t`Change it`}</button>
            <button type="button" className="primary" disabled={publish.isPending} onClick={() => publish.mutate()}>
              {t`Publish`}
            </button>
          </>
        )}
        {usable.length > 0 && !plan.data && (
          <button type="submit" form="publish" className="primary" disabled={plan.isPending}>
            {t`Next: check what is sent`}
          </button>
        )}
      </div>
    </Modal>
  );
}

function Connect({ connecting, onConnecting }: { connecting: boolean; onConnecting: (connecting: boolean) => void }) {
  const { permissions } = usePrincipal();
  const connect = useMutation({
    mutationFn: () => body(api.POST("/youtube/connect")),
    onMutate: () => window.open("about:blank", "_blank"),
    onSuccess: ({ url }, _, page) => {
      // A page that was blocked is opened by the link.
      if (page) {
        page.opener = null;
        page.location.href = url;
      }
      onConnecting(true);
    },
    onError: (_, __, page) => page?.close(),
  });
  if (!permissions.includes("publication:connect"))
    return <p>{t`No channel is connected. Somebody with the role of an administrator connects one.`}</p>;
  return (
    <div className="stack">
      <p>{t`No channel is connected yet. Its owner agrees on a page of Google’s; what is published stays private unless you say otherwise.`}</p>
      {connect.error && <ErrorNotice error={connect.error} />}
      {connecting && connect.data ? (
        <p role="status">
          <Trans>
            Waiting until the owner has agreed.{" "}
            <a href={connect.data.url} target="_blank" rel="noreferrer">
              Open the page again
            </a>
          </Trans>
        </p>
      ) : (
        <div>
          <button type="button" className="primary" disabled={connect.isPending} onClick={() => connect.mutate()}>
            {t`Connect a YouTube channel`}
          </button>
        </div>
      )}
    </div>
  );
}

interface DetailsProps {
  wishes: PublishRequest;
  channels: { id: string; title: string }[];
  error: unknown;
  onChange: (values: Partial<PublishRequest>) => void;
  onNext: () => void;
}

function Details({ wishes, channels, error, onChange, onNext }: DetailsProps) {
  const isThereAlready = error instanceof Problem && error.code === "publication.exists";
  const check = (name: "made_for_kids" | "notify_subscribers" | "captions" | "thumbnail" | "again", label: string) => (
    <label className="row">
      <input type="checkbox" checked={wishes[name]} onChange={({ target }) => onChange({ [name]: target.checked })} />
      {label}
    </label>
  );
  return (
    <Form id="publish" className="stack publish" error={error} onSubmit={onNext}>
      {channels.length === 1 && <p className="quiet">{t`Channel: ${channels[0]?.title ?? ""}`}</p>}
      {channels.length > 1 && (
        <Select
          label={t`Channel`}
          required
          value={wishes.account ?? ""}
          onChange={(account) => onChange({ account: account || null })}
          none={t`choose one`}
          of={channels.map((one) => [one.id, one.title])}
        />
      )}
      <Field of={Limits} name="title" label={t`Title`} value={wishes.title ?? ""} onChange={(title) => onChange({ title })} />
      <Field
        rows={4}
        of={Limits}
        name="description"
        label={t`Description`}
        value={wishes.description ?? ""}
        onChange={(description) => onChange({ description })}
      />
      <TagsField tags={wishes.tags ?? []} onChange={(tags) => onChange({ tags })} />
      <div className="row">
        <Select
          label={t`Who may see it`}
          value={wishes.privacy}
          onChange={(privacy) => onChange(privacy === "private" ? { privacy } : { privacy, publish_at: null })}
          of={PRIVACIES}
        />
        {wishes.privacy === "private" && (
          <Field
            type="datetime-local"
            of={Limits}
            name="publish_at"
            label={t`Make it public at`}
            value={wishes.publish_at ? local(wishes.publish_at) : ""}
            onChange={(value) => onChange({ publish_at: value ? new Date(value).toISOString() : null })}
          />
        )}
      </div>
      <div className="checks">
        <label className="row">
          <input type="checkbox" checked={wishes.synthetic} onChange={({ target }) => onChange({ synthetic: target.checked })} />
          {t`Tell viewers that it is synthetic`}
        </label>
        {!wishes.synthetic && (
          <Field
            required
            of={Limits}
            name="synthetic_reason"
            label={t`Why viewers need not be told`}
            value={wishes.synthetic_reason ?? ""}
            onChange={(synthetic_reason) => onChange({ synthetic_reason })}
          />
        )}
        {check("captions", t`With captions`)}
        {check("thumbnail", t`With the poster as its picture`)}
        {check("made_for_kids", t`Made for children`)}
        {check("notify_subscribers", t`Notify subscribers`)}
      </div>
      <FormError />
      {(isThereAlready || wishes.again) && check("again", t`Publish it although the channel has it already`)}
    </Form>
  );
}

/** What is typed stays as it is: a comma at its end begins the next tag. */
function TagsField({ tags, onChange }: { tags: readonly string[]; onChange: (tags: string[]) => void }) {
  const [text, setText] = useState(() => tags.join(", "));
  return (
    <Field
      of={Limits}
      name="tags"
      fault={listFault(tags, Limits.tags)}
      label={t`Tags, with commas between them`}
      value={text}
      onChange={(value) => {
        setText(value);
        const found = value.split(",").map((one) => one.trim());
        onChange(found.filter(Boolean));
      }}
    />
  );
}

/** For a field of the browser's own time. */
function local(iso: string): string {
  const then = new Date(iso);
  return new Date(then.getTime() - 60_000 * then.getTimezoneOffset()).toISOString().slice(0, 16);
}

/** To the letter, as the server would send it. */
function Plan({ plan, wishes }: { plan: PublicationPlan; wishes: PublishRequest }) {
  const { snippet = {}, status = {} } = plan.video as Record<string, Record<string, unknown>>;
  const text = (value: unknown) => (Array.isArray(value) ? value.join(", ") : String(value ?? ""));
  const left = number(plan.quota_left);
  const yesNo = (is: boolean) => (is ? t`yes` : t`no`);
  const rows: [string, string][] = [
    [t`Channel`, plan.channel],
    [t`Title`, text(snippet.title)],
    [t`Description`, text(snippet.description) || "–"],
    [t`Tags`, text(snippet.tags) || "–"],
    [t`Who may see it`, i18n.t(PRIVACIES[wishes.privacy ?? "private"])],
    ...(wishes.publish_at ? [[t`Public at`, when(wishes.publish_at)] satisfies [string, string]] : []),
    [t`Label for viewers`, status.containsSyntheticMedia ? t`altered or synthetic` : t`none: ${wishes.synthetic_reason ?? ""}`],
    [t`Captions`, yesNo(plan.captions)],
    [t`Poster as its picture`, yesNo(plan.thumbnail)],
    [t`Made for children`, yesNo(status.selfDeclaredMadeForKids === true)],
    [t`Notify subscribers`, yesNo(plan.notify_subscribers)],
    [t`Category`, text(snippet.categoryId)],
    [t`File`, mebibytes(plan.bytes)],
    [t`Quota`, t`${number(plan.quota_units)} of ${left} units that are left today`],
  ];
  return <Facts of={rows} className="plan" />;
}
