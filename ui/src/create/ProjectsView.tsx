/** Projects, the latest change first: open, rename, duplicate, delete. */

import { plural, t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, body, type Me, type ProjectSummary } from "../api/client";
import { getProjects, ProjectChange } from "../api/limits";
import { ConfirmedAction } from "../kit/ConfirmedAction";
import { Field } from "../kit/Field";
import { ErrorNotice, NoRows } from "../kit/kit";
import { RenameField } from "../kit/RenameField";
import { useSettled } from "../kit/useSettled";
import { usePrincipal } from "../shell/me";
import { pictureUrl } from "../videos/picture";
import { lengthOf, when } from "../videos/words";
import { Face } from "./PresenterPicker";
import { mayDuplicate, useDuplicate } from "./useDuplicate";
import { usePersonas } from "./usePersonas";
import "./create.css";

export function ProjectsView() {
  const me = usePrincipal();
  return (
    <div className="stack">
      <ProjectsList me={me} />
    </div>
  );
}

/** With `limit` only the latest, as a part of another view. */
export function ProjectsList({ me, limit }: { me: Me; limit?: number }) {
  const [typed, setTyped] = useState("");
  const search = useSettled(typed.trim());
  const projects = useQuery({
    queryKey: ["projects", search, limit ?? 0],
    queryFn: () => body(api.GET("/api/projects", { params: { query: { limit: limit ?? 200, ...(search && { q: search }) } } })),
    placeholderData: (before) => before,
  });
  if (limit && !projects.data?.length) return projects.error ? <ErrorNotice error={projects.error} /> : null;
  return (
    <div className="stack">
      <div className="row apart">
        {limit ? <h2>{t`Latest projects`}</h2> : <h1>{t`Projects`}</h1>}
        {limit ? (
          <Link to="/projects">{t`All projects`}</Link>
        ) : (
          <div className="row">
            <Field
              bare
              type="search"
              of={getProjects}
              name="q"
              label={t`Search projects`}
              placeholder={t`Search`}
              value={typed}
              onChange={setTyped}
            />
            <Link className="button" to="/">{t`New project`}</Link>
          </div>
        )}
      </div>
      <NoRows of={projects}>
        {search ? (
          t`No project has the words “${search}”.`
        ) : (
          <Trans>
            Nothing here yet. <Link to="/">Start with a sentence</Link>, and its project stands here.
          </Trans>
        )}
      </NoRows>
      <ul className="project-grid">
        {projects.data?.map((one) => (
          <Card key={one.id} project={one} me={me} isBrief={limit !== undefined} />
        ))}
      </ul>
    </div>
  );
}

const MAX_FACES = 3;

/** `isBrief`: only what opens it. */
function Card({ project, me, isBrief }: { project: ProjectSummary; me: Me; isBrief: boolean }) {
  const queries = useQueryClient();
  const [renaming, setRenaming] = useState(false);
  const presenters = usePersonas().data;
  const speaking = project.personas.map((id) => ({ id, entry: presenters?.find((one) => one.id === id) }));
  const picture = pictureUrl({ picture: project.picture ?? null }, 320);
  const path = { ref: project.id };
  const changed = () => queries.invalidateQueries({ queryKey: ["projects"] });
  const rename = useMutation({
    mutationFn: (title: string) => api.PATCH("/api/projects/{ref}", { params: { path }, body: { title } }),
    onSuccess: () => {
      setRenaming(false);
      void changed();
    },
  });
  const duplicate = useDuplicate(project.id);
  return (
    <li className="card project">
      <span className="frame">
        {picture ? (
          <img src={picture} alt="" loading="lazy" />
        ) : (
          <span className="speaking">
            {speaking.slice(0, MAX_FACES).map((one) => (
              <Face key={one.id} entry={one.entry} width={160} />
            ))}
          </span>
        )}
        {project.duration_ms != null && <span className="length">{lengthOf(project.duration_ms)}</span>}
      </span>
      <div className="words">
        {renaming ? (
          <RenameField
            of={ProjectChange}
            name="title"
            label={t`New title`}
            value={project.title}
            error={rename.error}
            onRename={rename.mutate}
          />
        ) : (
          <Link className="title" to="/studio/p/$slug" params={{ slug: project.slug }}>
            {project.title}
          </Link>
        )}
        <span className="quiet">
          {speaking.map((one) => one.entry?.persona?.name ?? one.id).join(", ")} ·{" "}
          {t`${plural(project.scenes_total, { one: "# scene", other: "# scenes" })}`}
        </span>
        <span className="quiet">
          {when(project.updated_at)}
          {project.video_at && project.updated_at > project.video_at && ` · ${t`changed since its video`}`}
        </span>
      </div>
      {!isBrief && (
        <div className="row">
          {me.permissions.includes("project:update") && !renaming && (
            <button type="button" className="plain" onClick={() => setRenaming(true)}>
              {t`Rename`}
              <span className="visually-hidden"> {project.title}</span>
            </button>
          )}
          {mayDuplicate(me) && (
            <button type="button" className="plain" disabled={duplicate.isPending} onClick={() => duplicate.mutate()}>
              {t`Duplicate`}
              <span className="visually-hidden"> {project.title}</span>
            </button>
          )}
          {me.permissions.includes("project:delete") && (
            <ConfirmedAction
              label={t`Delete`}
              about={project.title}
              title={t`Delete “${project.title}”?`}
              confirmLabel={t`Delete this project`}
              action={() => api.DELETE("/api/projects/{ref}", { params: { path } })}
              onSuccess={() => void changed()}
            >
              <p>{t`It goes to the trash with its scenes and versions; videos that were made of it stay.`}</p>
            </ConfirmedAction>
          )}
        </div>
      )}
      {duplicate.error && <ErrorNotice error={duplicate.error} />}
    </li>
  );
}
