/** The start of the Create room: a face, a sentence, one button. */
import { t } from "@lingui/core/macro";
import { useSearch } from "@tanstack/react-router";
import { Suspense, useEffect, useState } from "react";
import { ErrorNotice } from "../kit/kit";
import { lazyPart, prefetch } from "../kit/part";
import { usePrincipal } from "../shell/me";
import { duration } from "../videos/words";
import { Faces } from "./PresenterPicker";
import { ProjectsList } from "./ProjectsView";
import { samples, secondsOfText } from "./start";
import { useNewProject } from "./useNewProject";
import "./create.css";

const loadImport = () => import("./ImportDialog");
const FirstRunReminder = lazyPart(async () => ({ default: (await import("../settings/FirstRunReminder")).FirstRunReminder }));
const ImportDialog = lazyPart(async () => ({ default: (await loadImport()).ImportDialog }));

const REMIND_AFTER_MS = 1000;

/** The presenter of its address is chosen at first. */
export function CreateView() {
  const me = usePrincipal();
  const { presenter } = useSearch({ from: "/" });
  const [persona, choose] = useState(presenter ?? "nova");
  const [text, setText] = useState("");
  const [importing, setImporting] = useState(false);
  const make = useNewProject();
  const [mayRemind, setMayRemind] = useState(false);
  // What makes a film comes first; the reminder is below everything, so that nothing moves when it comes.
  useEffect(() => {
    const timer = setTimeout(() => setMayRemind(true), REMIND_AFTER_MS);
    return () => clearTimeout(timer);
  }, []);
  const ready = text.trim() !== "" && !make.isPending;
  return (
    <div className="stack create">
      <form
        className="card start"
        onSubmit={(event) => {
          event.preventDefault();
          if (ready) make.mutate({ text, persona, film: true });
        }}
      >
        <h1>{t`What should be said?`}</h1>
        <Faces value={persona} onChange={choose} legend={t`Presenter`} />
        <div className="field">
          <label htmlFor="first-script">{t`Script`}</label>
          <textarea
            id="first-script"
            rows={4}
            value={text}
            placeholder={t`Type or paste a text. An empty line begins a new scene.`}
            onChange={(event) => setText(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && ready) make.mutate({ text, persona, film: true });
            }}
          />
        </div>
        <fieldset className="row samples" aria-label={t`Samples`}>
          {samples().map((one) => (
            <button key={one} type="button" onClick={() => setText(one)}>
              {one.replaceAll("*", "")}
            </button>
          ))}
        </fieldset>
        {make.error && <ErrorNotice error={make.error} />}
        <div className="row apart">
          <span className="quiet" role="status">
            {text.trim() ? t`about ${duration(secondsOfText(text))}` : t`Type what should be said, or take a sample.`}
          </span>
          <div className="row">
            <button type="button" {...prefetch(loadImport)} onClick={() => setImporting(true)}>{t`Import a document`}</button>
            <button type="button" disabled={make.isPending} onClick={() => make.mutate({ text, persona, film: false })}>
              {text.trim() ? t`Edit first` : t`Empty project`}
            </button>
            {me.permissions.includes("render:create") && (
              <button type="submit" className="primary" disabled={!ready}>{t`Make it`}</button>
            )}
          </div>
        </div>
      </form>
      <Suspense>{importing && <ImportDialog persona={persona} onClose={() => setImporting(false)} />}</Suspense>
      <ProjectsList me={me} limit={6} />
      <Suspense>{mayRemind && me.permissions.includes("first_run:read") && <FirstRunReminder />}</Suspense>
    </div>
  );
}
