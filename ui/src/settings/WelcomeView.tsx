/** The first steps of an installation: what to do for a first film, what may follow, and what is done. */
import { i18n } from "@lingui/core";
import { t } from "@lingui/core/macro";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { FirstRun } from "../api/client";
import { Faces } from "../create/PresenterPicker";
import { samples } from "../create/start";
import { useNewProject } from "../create/useNewProject";
import { usable, usePersonas } from "../create/usePersonas";
import { Checks } from "../health/Checks";
import { ErrorNotice, State } from "../kit/kit";
import { Marked } from "../kit/Marked";
import { usePrincipal } from "../shell/me";
import { HearButton } from "../voices/HearButton";
import { Examination } from "./DoctorView";
import { useDoctor } from "./useDoctor";
import { STEP_NAMES, type StepName, useChangeFirstRun, useFirstRun } from "./useFirstRun";
import "../create/create.css";
import "./settings.css";

const FALLBACK = "nova";

export function WelcomeView() {
  const run = useFirstRun();
  if (!run.data)
    return (
      <div className="stack">
        <h1>{t`First steps`}</h1>
        {run.error ? <ErrorNotice error={run.error} /> : <p className="empty">{t`One moment`}</p>}
      </div>
    );
  const needed = run.data.steps.filter((one) => one.needed);
  const later = run.data.steps.filter((one) => !one.needed);
  const open = needed.filter((one) => one.state === "open").length;
  return (
    <div className="stack steps">
      <h1>{t`First steps`}</h1>
      <div className="row apart">
        <p role="status">
          {open > 0
            ? t`From a fresh installation to the first video: ${needed.length - open} of ${needed.length} steps are done.`
            : t`All that a video needs is there.`}
          {open === 0 && (
            <>
              {" "}
              <Link to="/">{t`Make a new video`}</Link>
            </>
          )}
        </p>
        <Putting away={run.data.dismissed} finished={run.data.finished} />
      </div>
      {needed.map((one) => (
        <StepCard key={one.step} of={one} run={run.data} />
      ))}
      {later.length > 0 && <h2>{t`When you like`}</h2>}
      {later.map((one) => (
        <StepCard key={one.step} of={one} run={run.data} />
      ))}
    </div>
  );
}

/** The reminder on the start of the page comes back as it went. */
function Putting({ away, finished }: { away: boolean; finished: boolean }) {
  const me = usePrincipal();
  const change = useChangeFirstRun();
  if (finished || !me.permissions.includes("first_run:update")) return null;
  return (
    <button type="button" className="link" disabled={change.isPending} onClick={() => change.mutate({ dismissed: !away })}>
      {away ? t`Remind me on the start page` : t`Do not remind me on the start page`}
    </button>
  );
}

type Step = FirstRun["steps"][number];

const CONTENTS: Record<StepName, (props: { run: FirstRun }) => ReactNode> = {
  doctor: Machine,
  presenter: Presenter,
  voice: Voice,
  film: Film,
  model: Model,
  gpu: Gpu,
  machines: Machines,
  keys: Keys,
};

function StepCard({ of, run }: { of: Step; run: FirstRun }) {
  const me = usePrincipal();
  const change = useChangeFirstRun();
  const name = i18n.t(STEP_NAMES[of.step]);
  const Content = CONTENTS[of.step];
  return (
    <section className="card step-card" data-state={of.state} aria-label={name}>
      <div className="row apart">
        <h2>{name}</h2>
        <div className="row">
          {of.state !== "open" && <State of={of.state}>{of.state === "done" ? t`done` : t`skipped`}</State>}
          {of.state !== "done" && me.permissions.includes("first_run:update") && (
            <button
              type="button"
              className="plain"
              disabled={change.isPending}
              aria-label={of.state === "open" ? t`Skip: ${name}` : t`Do it after all: ${name}`}
              onClick={() => change.mutate({ steps: { [of.step]: of.state === "open" ? "skipped" : "open" } })}
            >
              {of.state === "open" ? t`Skip` : t`Do it after all`}
            </button>
          )}
        </div>
      </div>
      {of.state !== "skipped" && <Content run={run} />}
      {change.error && <ErrorNotice error={change.error} />}
    </section>
  );
}

function Machine() {
  const change = useChangeFirstRun();
  const { report, examine } = useDoctor((found) => {
    if (found.ok) change.mutate({ steps: { doctor: "done" } });
  });
  const complaints = report?.checks.filter((one) => one.level !== "green") ?? [];
  return (
    <>
      <p className="quiet">{t`Looks at what a video needs on the machine of the server: voices, fonts, encoders, room on the disk.`}</p>
      <div className="row">
        <button type="button" disabled={examine.isPending} onClick={() => examine.mutate()}>
          {examine.isPending ? t`Looking…` : report ? t`Look again` : t`Look now`}
        </button>
        <Examination report={report} pending={examine.isPending} />
      </div>
      {examine.error && <ErrorNotice error={examine.error} />}
      {complaints.length > 0 && <Checks name={t`What could be better`} of={complaints} />}
      {report && (
        <p>
          <Link to="/run/doctor">{t`All lines, and as a text for a report`}</Link>
        </p>
      )}
    </>
  );
}

function Presenter({ run }: { run: FirstRun }) {
  const me = usePrincipal();
  const change = useChangeFirstRun();
  return (
    <>
      <Faces
        value={run.presenter ?? ""}
        onChange={(presenter) => change.mutate({ presenter })}
        legend={t`Who speaks in the first video`}
      />
      {change.error && <ErrorNotice error={change.error} />}
      {me.permissions.includes("persona:create") && (
        <p className="quiet">
          <Link to="/presenters">{t`A presenter of your own, from a photo`}</Link>
        </p>
      )}
    </>
  );
}

function Voice({ run }: { run: FirstRun }) {
  const me = usePrincipal();
  const change = useChangeFirstRun();
  const presenter = useChosen(run);
  const name = presenter?.persona?.name ?? "";
  if (!me.permissions.includes("persona:update"))
    return <p className="quiet">{t`Your key has no right to hear samples; the first video will be heard anyway.`}</p>;
  return (
    <div className="row">
      <HearButton presenter={presenter} about={name} onHeard={() => change.mutate({ steps: { voice: "done" } })} />
      {name && <span className="quiet">{t`A sentence in the voice of ${name}.`}</span>}
      {me.permissions.includes("project:read") && <Link to="/pronunciations">{t`How names are spoken`}</Link>}
    </div>
  );
}

function Film({ run }: { run: FirstRun }) {
  const me = usePrincipal();
  const presenter = useChosen(run);
  const make = useNewProject();
  const persona = presenter?.id ?? FALLBACK;
  const mayMake = me.permissions.includes("project:create") && me.permissions.includes("render:create");
  const hasFilm = run.steps.some((one) => one.step === "film" && one.state === "done");
  const text = samples()[1];
  const sample = text.replaceAll("*", "");
  if (!mayMake) return <p className="quiet">{t`Your key has no right to make videos.`}</p>;
  return (
    <>
      <blockquote className="quiet">{sample}</blockquote>
      <div className="row">
        <button
          type="button"
          className={hasFilm ? "" : "primary"}
          disabled={make.isPending}
          onClick={() => make.mutate({ text, persona, film: true })}
        >
          {make.isPending ? t`One moment` : t`Make this video`}
        </button>
        <Link className="button" to="/" search={{ presenter: persona }}>{t`With a text of your own`}</Link>
      </div>
      {make.error && <ErrorNotice error={make.error} />}
    </>
  );
}

function Model() {
  return (
    <Optional
      text={t`With one the agent understands free sentences and writes scripts; without, it understands fixed sentences. Any server that speaks OpenAI's protocol will do: llama.cpp, Ollama, a service.`}
      guide="docs/guide/conversation.md"
    >
      <SettingsLink q="llm." />
    </Optional>
  );
}

function Gpu() {
  return (
    <Optional
      text={t`Drawn presenters need none. With a card and weights of yours, photos and filmed people speak more lifelike: \`soundstage models list\` shows what is missing.`}
      guide="docs/guide/gpu-faces.md"
    >
      <SettingsLink q="models_folder" />
    </Optional>
  );
}

function Machines() {
  const me = usePrincipal();
  return (
    <Optional
      text={t`A farm makes many videos at once. \`sudo soundstage lab up\` starts one on this computer, the playbook makes one of real machines.`}
      guide="docs/guide/first-farm.md"
    >
      {me.permissions.includes("machine:read") && <Link to="/run/machines">{t`Machines`}</Link>} <SettingsLink q="farm." />
    </Optional>
  );
}

function Keys() {
  return (
    <Optional
      text={t`Others log in with a key of their own, with no more rights than they need; so do programs.`}
      guide="docs/guide/policy.md"
    >
      <Link to="/run/keys">{t`Keys`}</Link>
    </Optional>
  );
}

function Optional({ text, guide, children }: { text: string; guide: string; children: ReactNode }) {
  return (
    <>
      <p>
        <Marked text={text} />
      </p>
      <p className="quiet row">
        {children}
        <span>
          <Marked text={t`Guide: \`${guide}\``} />
        </span>
      </p>
    </>
  );
}

function SettingsLink({ q }: { q: string }) {
  if (!usePrincipal().permissions.includes("setting:read")) return null;
  return <Link to="/run/settings" search={{ q }}>{t`Its settings`}</Link>;
}

/** The chosen presenter, or the first who can speak. */
function useChosen(run: FirstRun) {
  const personas = usable(usePersonas().data);
  return personas.find((one) => one.id === (run.presenter ?? FALLBACK)) ?? personas[0];
}
