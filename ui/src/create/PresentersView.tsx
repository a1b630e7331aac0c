/** The wall of presenters: who can speak, with which voice, and what is wrong with those who cannot. */
import { t } from "@lingui/core/macro";
import { useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { lazy, Suspense, useState } from "react";
import { api, type Me, type PersonaEntry } from "../api/client";
import { ConfirmedAction } from "../kit/ConfirmedAction";
import { NoRows } from "../kit/kit";
import { usePrincipal } from "../shell/me";
import { HearButton } from "../voices/HearButton";
import { Face } from "./PresenterPicker";
import { usePersonas, voiceWords } from "./usePersonas";
import "./create.css";

const load = () => import("./NewPresenter");
const NewPresenter = lazy(async () => ({ default: (await load()).NewPresenter }));

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
          <button
            type="button"
            className="primary"
            onPointerEnter={() => void load()}
            onFocus={() => void load()}
            onClick={() => setOpen(true)}
          >
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
    </div>
  );
}

function Words({ entry, me }: { entry: PersonaEntry; me: Me }) {
  const queries = useQueryClient();
  const name = entry.persona?.name ?? entry.id;
  return (
    <div className="words">
      <h2>{name}</h2>
      {entry.persona?.title && <p>{entry.persona.title}</p>}
      {entry.persona && <p className="quiet">{t`Voice: ${voiceWords(entry)} · ${entry.persona.style.language}`}</p>}
      {entry.persona && (
        <div className="row">
          <Link className="button" to="/" search={{ presenter: entry.id }}>
            {t`Film with ${entry.persona.name}`}
          </Link>
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
              <p>{t`The photo, the voice and every video made from them are deleted for good.`}</p>
            </ConfirmedAction>
          )}
        </div>
      )}
      {entry.error && <p className="problem">{entry.error}</p>}
    </div>
  );
}
