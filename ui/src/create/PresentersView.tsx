/** The wall of presenters: who can speak, with which voice, and what is wrong with those who cannot. */
import { t } from "@lingui/core/macro";
import { Link } from "@tanstack/react-router";
import type { PersonaEntry } from "../api/client";
import { NoRows } from "../kit/kit";
import { usePrincipal } from "../shell/me";
import { HearButton } from "../voices/HearButton";
import { Face } from "./PresenterPicker";
import { usePersonas, voiceWords } from "./usePersonas";
import "./create.css";

export function PresentersView() {
  const me = usePrincipal();
  const personas = usePersonas();
  return (
    <div className="stack">
      <h1>{t`Presenters`}</h1>
      <NoRows of={personas}>{t`Nobody here: the folder of personas is empty.`}</NoRows>
      <ul className="presenter-wall">
        {personas.data?.map((one) => (
          <li key={one.id} className="card">
            <Face entry={one} width={320} />
            <Words entry={one} mayHear={me.permissions.includes("persona:update")} />
          </li>
        ))}
      </ul>
    </div>
  );
}

function Words({ entry, mayHear }: { entry: PersonaEntry; mayHear: boolean }) {
  return (
    <div className="words">
      <h2>{entry.persona?.name ?? entry.id}</h2>
      {entry.persona?.title && <p>{entry.persona.title}</p>}
      {entry.persona && <p className="quiet">{t`Voice: ${voiceWords(entry)} · ${entry.persona.style.language}`}</p>}
      {entry.persona && (
        <div className="row">
          <Link className="button" to="/" search={{ presenter: entry.id }}>
            {t`Film with ${entry.persona.name}`}
          </Link>
          {mayHear && <HearButton presenter={entry} about={entry.persona.name} />}
        </div>
      )}
      {entry.error && <p className="problem">{entry.error}</p>}
    </div>
  );
}
