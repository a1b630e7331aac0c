/** Where a film was published, how far that is, and cancelling or trying again. */
import { msg, t } from "@lingui/core/macro";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Suspense, useState } from "react";
import { api, body, type Me, type Publication, type PublishRequest, type Render } from "../api/client";
import { ErrorNotice, Reason, State } from "../kit/kit";
import { lazyPart, prefetch } from "../kit/part";
import { when } from "./words";

const load = () => import("./PublishDialog");
const PublishDialog = lazyPart(async () => ({ default: (await load()).PublishDialog }));
const ENDED = ["published", "failed", "cancelled"];

export const PRIVACIES = {
  private: msg`private`,
  unlisted: msg`unlisted: only with the link`,
  public: msg({ message: "public", context: "publication" }),
};

/** Of one film: the newest first, and the button that publishes it. */
export function Publications({ render, me }: { render: Render; me: Me }) {
  const [open, setOpen] = useState<{ before?: PublishRequest } | null>(null);
  const mayRead = me.permissions.includes("publication:read");
  const found = useQuery({
    queryKey: ["publications", render.id],
    queryFn: () => body(api.GET("/api/publications", { params: { query: { render: render.id } } })),
    enabled: mayRead,
  });
  const mayPublish = me.permissions.includes("publication:create");
  if (!mayPublish && !found.data?.length) return null;
  return (
    <section className="stack" aria-labelledby="publications-title">
      <div className="row apart">
        <h2 id="publications-title">{t`Publications`}</h2>
        {mayPublish && (
          <button type="button" {...prefetch(load)} onClick={() => setOpen({})}>
            {t`Publish`}
          </button>
        )}
      </div>
      {found.error && <ErrorNotice error={found.error} />}
      {found.data?.length === 0 && <p className="quiet">{t`Not published yet.`}</p>}
      <ul className="stack">
        {found.data?.map((one) => (
          <li key={one.id} className="card row apart">
            <span>
              {one.url ? <a href={one.url}>{t`On YouTube`}</a> : one.wishes.title}
              <span className="quiet"> · {when(one.created_at)}</span>
            </span>
            <PublicationState publication={one} me={me} onChange={() => setOpen({ before: one.wishes })} />
          </li>
        ))}
      </ul>
      {open && (
        <Suspense>
          <PublishDialog render={render} before={open.before} onClose={() => setOpen(null)} />
        </Suspense>
      )}
    </section>
  );
}

interface StateProps {
  publication: Publication;
  me: Me;
  /** Publishes it with other words; without it, on the page of the video. */
  onChange?: () => void;
}

/** Its state, how much has arrived, why it waits or failed, and what can be done about that. */
export function PublicationState({ publication, me, onChange }: StateProps) {
  const queries = useQueryClient();
  const path = { publication_id: publication.id };
  const act = useMutation({
    mutationFn: async (what: "cancel" | "retry") =>
      what === "cancel"
        ? await api.POST("/api/publications/{publication_id}/cancel", { params: { path } })
        : await api.POST("/api/publications/{publication_id}/retry", { params: { path } }),
    onSettled: () => queries.invalidateQueries({ queryKey: ["publications"] }),
  });
  const { state, bytes_sent, bytes_total, error, waits, cancel_requested } = publication;
  const going = !ENDED.includes(state) && state !== "processing" && !cancel_requested;
  const name = publication.wishes.title ?? publication.id;
  const mayPublish = me.permissions.includes("publication:create");
  // The same words would be refused again.
  const isRefused = error?.code === "publication.refused";
  return (
    <div className="stack publication">
      <span className="row">
        <State of={state} />
        {state === "uploading" && bytes_total > 0 && (
          <progress value={bytes_sent} max={bytes_total} aria-label={t`Sent of ${name}`} />
        )}
        {going && me.permissions.includes("publication:cancel") && (
          <button
            type="button"
            disabled={act.isPending}
            onClick={() => act.mutate("cancel")}
            aria-label={t`Cancel publishing ${name}`}
          >
            {t`Cancel`}
          </button>
        )}
        {isRefused && mayPublish && onChange && (
          <button type="button" onClick={onChange}>
            {t`Change it and publish`}
            <span className="visually-hidden"> {name}</span>
          </button>
        )}
        {isRefused && mayPublish && !onChange && publication.render_id && (
          <Link className="button" to="/videos/$id" params={{ id: publication.render_id }}>
            {t`Change it`}
            <span className="visually-hidden"> {name}</span>
          </Link>
        )}
        {(state === "failed" || state === "cancelled") && !isRefused && mayPublish && (
          <button
            type="button"
            disabled={act.isPending}
            onClick={() => act.mutate("retry")}
            aria-label={t`Publish ${name} again`}
          >
            {t`Try again`}
          </button>
        )}
      </span>
      {cancel_requested && !ENDED.includes(state) && <p className="quiet">{t`It is being cancelled.`}</p>}
      {error && (
        <p className="quiet">
          <Reason of={error} />
        </p>
      )}
      {waits && <p className="quiet">{waits}</p>}
      {publication.warnings.map((one) => (
        <p key={one} className="quiet">
          {one}
        </p>
      ))}
      {act.error && <ErrorNotice error={act.error} />}
    </div>
  );
}
