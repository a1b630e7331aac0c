/** The wall of presenters: who can speak, with which voice, and what is wrong with those who cannot. */
import { t } from "@lingui/core/macro";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Suspense, useState } from "react";
import { api, body, type Me, type PersonaEntry, type VrmFace } from "../api/client";
import { ConfirmedAction } from "../kit/ConfirmedAction";
import { ErrorNotice, NoRows } from "../kit/kit";
import { lazyPart, prefetch } from "../kit/part";
import { usePrincipal } from "../shell/me";
import { ClonedVoices } from "../voices/ClonedVoices";
import { HearButton } from "../voices/HearButton";
import { Face } from "./PresenterPicker";
import { isTalkOnly, PRESENTER, roleWords, usePersonas, voiceWords } from "./usePersonas";
import "./create.css";

const load = () => import("./NewPresenter");
const NewPresenter = lazyPart(async () => ({ default: (await load()).NewPresenter }));

interface Created {
  name: string;
  warnings: readonly string[];
}

export function PresentersView() {
  const me = usePrincipal();
  const personas = usePersonas();
  const [open, setOpen] = useState(false);
  const [created, setCreated] = useState<Created | null>(null);
  return (
    <div className="stack">
      <div className="row apart">
        <h1>{t`Presenters`}</h1>
        {me.permissions.includes("persona:create") && me.permissions.includes("asset:create") && (
          <button type="button" className="primary" {...prefetch(load)} onClick={() => setOpen(true)}>
            {t`New presenter`}
          </button>
        )}
      </div>
      {created && (
        <p role="status">
          {t`${created.name} can speak now.`} {created.warnings.join(" ")}
        </p>
      )}
      {open && (
        <Suspense>
          <NewPresenter
            onClose={() => setOpen(false)}
            onCreated={(name, warnings) => {
              setOpen(false);
              setCreated({ name, warnings });
            }}
          />
        </Suspense>
      )}
      <NoRows of={personas}>{t`Nobody here: the folder of personas is empty.`}</NoRows>
      <ul className="presenter-wall">
        {personas.data?.map((one) => (
          <li key={one.id} className="card">
            <Face entry={one} width={320} />
            <Words entry={one} me={me} />
          </li>
        ))}
      </ul>
      <ClonedVoices me={me} />
    </div>
  );
}

function Words({ entry, me }: { entry: PersonaEntry; me: Me }) {
  const queries = useQueryClient();
  const name = entry.persona?.name ?? entry.id;
  return (
    <div className="words">
      <h2>{name}</h2>
      {entry.persona?.title && <p>{roleWords(entry)}</p>}
      {entry.persona?.face.kind === "vrm" && <AvatarWords face={entry.persona.face} />}
      {entry.persona && <p className="quiet">{t`Voice: ${voiceWords(entry)}`}</p>}
      {entry.persona && (
        <div className="row">
          {isTalkOnly(entry) ? (
            <Link className="button" to="/talk" onClick={() => localStorage.setItem(PRESENTER, entry.id)}>
              {t`Talk to ${entry.persona.name}`}
            </Link>
          ) : (
            <Link className="button" to="/" search={{ presenter: entry.id }}>
              {t`Video with ${entry.persona.name}`}
            </Link>
          )}
          {me.permissions.includes("persona:update") && <HearButton presenter={entry} about={entry.persona.name} />}
          {entry.origin === "user" && me.permissions.includes("persona:delete") && (
            <ConfirmedAction
              label={t`Delete`}
              about={name}
              title={t`Delete ${name}?`}
              confirmLabel={t`Delete this presenter`}
              action={() => api.DELETE("/api/personas/{persona_id}", { params: { path: { persona_id: entry.id } } })}
              onSettled={() => queries.invalidateQueries({ queryKey: ["personas"] })}
            >
              <WhatGoes id={entry.id} />
            </ConfirmedAction>
          )}
        </div>
      )}
      {entry.error && <p className="problem">{entry.error}</p>}
    </div>
  );
}

function AvatarWords({ face }: { face: VrmFace }) {
  const { authors, licence_url } = face.licence;
  const by = authors.join(", ");
  return (
    <p className="quiet">
      {t`Talk only: a VRM avatar, of which no video is rendered.`} {by && t`By ${by}.`}{" "}
      {licence_url && (
        <a href={licence_url} target="_blank" rel="noreferrer">
          {t`Licence`}
        </a>
      )}
    </p>
  );
}

const MAX_NAMED = 8;

/** Everything that is deleted with a presenter: others may have the same photo. */
function WhatGoes({ id }: { id: string }) {
  const plan = useQuery({
    queryKey: ["erase-plan", id],
    queryFn: () =>
      body(api.DELETE("/api/personas/{persona_id}", { params: { path: { persona_id: id }, query: { dry_run: true } } })),
    gcTime: 0,
  });
  if (plan.error) return <ErrorNotice error={plan.error} />;
  if (!plan.data) return <p role="status">{t`One moment`}</p>;
  const { names = {}, personas = [], voices = [], renders = [], assets = [] } = plan.data;
  const named = (ids: readonly string[]) => {
    const rest = ids.length - MAX_NAMED;
    const first = ids.slice(0, MAX_NAMED).map((one) => names[one] ?? one);
    return [...first, ...(rest > 0 ? [t`${rest} more`] : [])].join(", ");
  };
  const kinds = [
    [t`Presenters`, personas],
    [t`Videos`, renders],
    [t`Files`, assets],
    [t`Voices`, voices],
  ] as const;
  return (
    <>
      <p>{t`Deleted for good, because they hold the same photo or avatar, or were made from it:`}</p>
      <ul>{kinds.map(([name, ids]) => ids.length > 0 && <li key={name}>{`${name}: ${named(ids)}`}</li>)}</ul>
    </>
  );
}
