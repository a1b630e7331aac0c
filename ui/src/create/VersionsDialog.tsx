/** The versions of a project beside what it is now: words that came and went, films that were made; and the way back. */
import { i18n, type MessageDescriptor } from "@lingui/core";
import { msg, plural, t } from "@lingui/core/macro";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, body, type Project } from "../api/client";
import { ErrorNotice, NoRows } from "../kit/kit";
import { Modal } from "../kit/Modal";
import { pictureUrl } from "../videos/picture";
import { when } from "../videos/words";
import { type Content, versionContent } from "./film";
import type { Editor } from "./useEditor";
import { compareDocs, docOfVersion, type Piece, type SceneChange } from "./versions";
import "./versions.css";

const MAX_FILMS = 200;
const FIELDS: Record<string, MessageDescriptor> = {
  title: msg`Title`,
  persona: msg`Presenter`,
  brand: msg`Brand kit`,
  music: msg`Music`,
  canvas: msg`Format`,
  output: msg`Captions`,
  mood: msg`Mood`,
  background: msg`Background`,
  camera: msg`Framing`,
  transition: msg`Begins with`,
  overlays: msg`On the picture`,
};
/** Names of fields, each once; those without a word of their own are a look. */
const fieldNames = (names: readonly string[]) => [...new Set(names.map((name) => i18n.t(FIELDS[name] ?? msg`Look`)))].join(", ");

interface Props {
  project: Project;
  editor: Editor;
  mayEdit: boolean;
  onClose: () => void;
}

export function VersionsDialog({ project, editor, mayEdit, onClose }: Props) {
  const path = { ref: project.id };
  const versions = useQuery({
    queryKey: ["versions", project.id],
    queryFn: () => body(api.GET("/api/projects/{ref}/versions", { params: { path } })),
    staleTime: 0,
  });
  const films = useQuery({
    queryKey: ["films-of", project.id],
    queryFn: () =>
      body(api.GET("/api/renders", { params: { query: { project: project.id, kind: ["video" as const], limit: MAX_FILMS } } })),
    staleTime: 0,
  });
  const [picked, pick] = useState<number | null>(null);
  const chosen = versions.data?.find((one) => one.number === picked) ?? versions.data?.[0];
  const filmOf = (number: number) => films.data?.find((one) => one.project_version === number && one.state === "done");
  return (
    <Modal title={t`Versions`} size="wide" dismissable onClose={onClose}>
      <NoRows of={versions}>{t`A version is kept with each video that is made. There is none yet.`}</NoRows>
      {chosen && (
        <div className="versions">
          <ul aria-label={t`Versions`}>
            {versions.data?.map((one) => {
              const film = filmOf(one.number);
              return (
                <li key={one.number}>
                  <button type="button" aria-pressed={one === chosen} onClick={() => pick(one.number)}>
                    {film?.picture ? (
                      <img src={pictureUrl(film, 72)} alt="" loading="lazy" />
                    ) : (
                      <span className="no-film" aria-hidden="true" />
                    )}
                    <span className="words">
                      <strong>{t`Version ${one.number}`}</strong>
                      <span className="quiet">{when(one.created_at)}</span>
                      <span className="quiet">{film ? t`with its video` : one.note}</span>
                    </span>
                  </button>
                </li>
              );
            })}
          </ul>
          <Comparison
            key={chosen.number}
            project={project}
            number={chosen.number}
            editor={editor}
            mayEdit={mayEdit}
            onClose={onClose}
          />
        </div>
      )}
      <div className="row ends">
        <button type="button" onClick={onClose}>{t`Close`}</button>
      </div>
    </Modal>
  );
}

interface ComparisonProps extends Props {
  number: number;
}

function Comparison({ project, number, editor, mayEdit, onClose }: ComparisonProps) {
  const queries = useQueryClient();
  const version = useQuery(versionContent(project.id, number));
  const restore = useMutation({
    mutationFn: async () => {
      // What was typed last is part of the version that is kept now.
      if (!(await editor.flush())) return;
      await body(api.POST("/api/projects/{ref}/versions/{number}/restore", { params: { path: { ref: project.id, number } } }));
      await editor.refresh();
      void queries.invalidateQueries({ queryKey: ["versions", project.id] });
      onClose();
    },
  });
  if (version.error) return <ErrorNotice error={version.error} />;
  if (!version.data) return <p className="empty">{t`One moment`}</p>;
  return (
    <div className="stack">
      <Differences content={version.data} editor={editor} />
      {restore.error && <ErrorNotice error={restore.error} />}
      {mayEdit && (
        <div className="row">
          <button type="button" className="primary" disabled={restore.isPending} onClick={() => restore.mutate()}>
            {t`Go back to version ${number}`}
          </button>
          <span className="quiet">{t`What it is now is kept as a version first.`}</span>
        </div>
      )}
    </div>
  );
}

function Differences({ content, editor }: { content: Content; editor: Editor }) {
  const { look, scenes } = compareDocs(docOfVersion(content, editor.doc), editor.doc);
  const changed = scenes.filter((one) => one.kind !== "same");
  const same = scenes.length - changed.length;
  if (look.length === 0 && changed.length === 0) return <p className="empty">{t`The project is as it was then.`}</p>;
  return (
    <div className="stack">
      <p className="quiet">
        {t`Since then:`} <del>{t`gone`}</del> <ins>{t`new`}</ins>
        {same > 0 && ` · ${plural(same, { one: "# scene is the same", other: "# scenes are the same" })}`}
      </p>
      {look.length > 0 && <p>{t`Of the whole video: ${fieldNames(look)}`}</p>}
      <ol className="differences" aria-label={t`Differences`}>
        {changed.map((one) => (
          <SceneDifference key={one.key} change={one} />
        ))}
      </ol>
    </div>
  );
}

function SceneDifference({ change }: { change: SceneChange }) {
  const { kind, number, pieces, fields, moved } = change;
  const title = { added: t`Scene ${number}, new`, removed: t`Scene ${number}, gone`, changed: t`Scene ${number}`, same: "" }[
    kind
  ];
  return (
    <li className={kind}>
      <strong>{title}</strong>
      {pieces.length > 0 && <p className="script-text">{pieces.map((piece, at) => words(piece, at))}</p>}
      {moved && <p className="quiet">{t`It stood elsewhere.`}</p>}
      {fields.length > 0 && <p className="quiet">{t`Changed: ${fieldNames(fields)}`}</p>}
    </li>
  );
}

function words({ kind, text }: Piece, at: number) {
  if (kind === "gone") return <del key={at}>{text} </del>;
  if (kind === "new") return <ins key={at}>{text} </ins>;
  return <span key={at}>{text} </span>;
}
