/** The start of the Create room: a face, a sentence, one button. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { ErrorNotice } from "../kit/kit";
import { usePrincipal } from "../shell/me";
import { duration } from "../videos/words";
import { spokenSeconds } from "./document";
import { filmBegun } from "./film";
import { ImportDialog } from "./ImportDialog";
import { Faces } from "./PresenterPicker";
import { ProjectsList } from "./ProjectsView";
import { beginFilm, createProject } from "./start";
import "./create.css";

const SAMPLES = [
  "Welcome to the team. Here is what your first *week* looks like.",
  "Good morning. The tide comes in twice a day, and the moon is why.",
  "Our new release is out. It is faster, smaller and easier to set up.",
];

/** The presenter of its address is chosen at first. */
export function CreateView() {
  const me = usePrincipal();
  const { presenter } = useSearch({ from: "/" });
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [persona, choose] = useState(presenter ?? "nova");
  const [text, setText] = useState("");
  const [importing, setImporting] = useState(false);
  const make = useMutation({
    mutationFn: async (film: boolean) => {
      const project = await createProject(text, persona);
      if (film) {
        const id = await beginFilm(project);
        filmBegun(id);
        queries.setQueryData(["film-of", project], id);
      }
      return project;
    },
    onSuccess: (project) => {
      void queries.invalidateQueries({ queryKey: ["projects"] });
      void navigate({ to: "/studio/p/$slug", params: { slug: project } });
    },
  });
  const ready = text.trim() !== "" && !make.isPending;
  return (
    <div className="stack create">
      <form
        className="card start"
        onSubmit={(event) => {
          event.preventDefault();
          if (ready) make.mutate(true);
        }}
      >
        <h1>What should be said?</h1>
        <Faces value={persona} onChange={choose} legend="Presenter" />
        <div className="field">
          <label htmlFor="first-script">Script</label>
          <textarea
            id="first-script"
            rows={4}
            value={text}
            placeholder="Type or paste a text. An empty line begins a new scene."
            onChange={(event) => setText(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && ready) make.mutate(true);
            }}
          />
        </div>
        <fieldset className="row samples" aria-label="Samples">
          {SAMPLES.map((one) => (
            <button key={one} type="button" onClick={() => setText(one)}>
              {one.replaceAll("*", "")}
            </button>
          ))}
        </fieldset>
        {make.error && <ErrorNotice error={make.error} />}
        <div className="row apart">
          <span className="quiet" role="status">
            {text.trim() ? `about ${duration(spokenSeconds(text))}` : ""}
          </span>
          <div className="row">
            <button type="button" onClick={() => setImporting(true)}>
              Import a document
            </button>
            <button type="button" disabled={make.isPending} onClick={() => make.mutate(false)}>
              {text.trim() ? "Edit first" : "Empty project"}
            </button>
            {me.permissions.includes("render:create") && (
              <button type="submit" className="primary" disabled={!ready}>
                Make it
              </button>
            )}
          </div>
        </div>
      </form>
      {importing && <ImportDialog persona={persona} onClose={() => setImporting(false)} />}
      <ProjectsList me={me} limit={6} />
    </div>
  );
}
