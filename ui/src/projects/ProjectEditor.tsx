/** One project: its title and shape, its scenes as one script, and its video. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { api, body, type Me, type Project, type Render, type Scene, type SceneChange } from "../api/client";
import { ConfirmedAction } from "../kit/ConfirmedAction";
import { ErrorNotice } from "../kit/kit";
import { ENDED, Making } from "../videos/Making";
import { fileUrl } from "../videos/words";
import { FORMATS, formatOf, speakingTime } from "./formats";
import { SceneCard } from "./SceneCard";
import { useAutosave } from "./useAutosave";
import { usePresenters, useProject, useProjectCalls, useScenes } from "./useProject";
import { useUndo } from "./useUndo";

const SHORTCUT_KEYS = ["z", "y"];

export function ProjectEditor({ id, me }: { id: string; me: Me }) {
  const project = useProject(id);
  const scenes = useScenes(id);
  if (project.error) return <ErrorNotice error={project.error} />;
  if (scenes.error) return <ErrorNotice error={scenes.error} />;
  if (!project.data || !scenes.data) return <p className="empty">One moment</p>;
  return <Editor project={project.data} scenes={scenes.data} me={me} />;
}

function Editor({ project, scenes, me }: { project: Project; scenes: Scene[]; me: Me }) {
  const calls = useProjectCalls(project.id);
  const presenters = usePresenters().data ?? [];
  const changes = useUndo();
  const may = (permission: string) => me.permissions.includes(permission);
  const mayChange = may("scene:update") && may("project:update");
  const seconds = scenes.reduce((sum, one) => sum + speakingTime(one.script), 0);

  const { undo, redo } = changes;
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const key = event.key.toLowerCase();
      const typing = event.target instanceof HTMLElement && event.target.matches("input, textarea");
      if (typing || !(event.ctrlKey || event.metaKey) || !SHORTCUT_KEYS.includes(key)) return;
      event.preventDefault();
      void (key === "y" || event.shiftKey ? redo() : undo());
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [undo, redo]);

  const changeProject = (name: string, fields: Partial<Project>, before: Partial<Project>) =>
    void changes.run({ name, forward: () => calls.change(fields), backward: () => calls.change(before) });
  const changeScene = (scene: Scene, name: string, fields: SceneChange, before: SceneChange) =>
    void changes.run({
      name,
      forward: () => calls.changeScene(scene.id, fields),
      backward: () => calls.changeScene(scene.id, before),
    });
  const ids = scenes.map((one) => one.id);
  const addScene = () => {
    let added = "";
    const forward = async () => {
      added = (await calls.addScene({}, added)).id;
    };
    void changes.run({ name: `add scene ${scenes.length + 1}`, forward, backward: () => calls.deleteScene(added) });
  };
  const deleteScene = (scene: Scene, index: number) => {
    let deleted = scene;
    const forward = async () => {
      deleted = await calls.readScene(scene.id);
      await calls.deleteScene(scene.id);
    };
    const backward = () => calls.addScene({ ...contentOf(deleted), position: index }, scene.id);
    void changes.run({ name: `delete scene ${index + 1}`, forward, backward });
  };
  const moveScene = (index: number, by: number) => {
    const moved = [...ids];
    const [taken] = moved.splice(index, 1);
    if (taken) moved.splice(index + by, 0, taken);
    const name = `move scene ${index + 1}`;
    void changes.run({ name, forward: () => calls.order(moved), backward: () => calls.order(ids) });
  };
  const splitScene = (scene: Scene, index: number, at: number, script: string) => {
    let added = "";
    const forward = async () => {
      await calls.changeScene(scene.id, { script: script.slice(0, at).trimEnd() });
      const rest = { ...contentOf(scene), script: script.slice(at).trimStart(), position: index + 1 };
      added = (await calls.addScene(rest, added)).id;
    };
    const backward = async () => {
      await calls.changeScene(scene.id, { script });
      await calls.deleteScene(added);
    };
    void changes.run({ name: `split scene ${index + 1}`, forward, backward });
  };
  const joinScenes = (scene: Scene, index: number) => {
    const next = scenes[index + 1];
    if (!next) return;
    let texts: [string, string] = ["", ""];
    const forward = async () => {
      texts = [(await calls.readScene(scene.id)).script, (await calls.readScene(next.id)).script];
      await calls.changeScene(scene.id, { script: texts.filter(Boolean).join("\n\n") });
      await calls.deleteScene(next.id);
    };
    const backward = async () => {
      await calls.changeScene(scene.id, { script: texts[0] });
      await calls.addScene({ ...contentOf(next), script: texts[1], position: index + 1 }, next.id);
    };
    void changes.run({ name: `join scenes ${index + 1} and ${index + 2}`, forward, backward });
  };

  return (
    <div className="stack project">
      <div>
        <a href="#/projects">All projects</a>
      </div>
      <Title project={project} mayChange={mayChange} />
      <div className="row apart bar-of-project">
        <div className="row">
          <select
            aria-label="Presenter of the project"
            value={project.persona}
            disabled={!mayChange}
            onChange={(event) => changeProject("presenter", { persona: event.target.value }, { persona: project.persona })}
          >
            {!presenters.some((one) => one.id === project.persona) && <option value={project.persona}>{project.persona}</option>}
            {presenters.map((one) => (
              <option key={one.id} value={one.id}>
                {one.name}
              </option>
            ))}
          </select>
          <select
            aria-label="Shape"
            value={formatOf(project.canvas)}
            disabled={!mayChange}
            onChange={(event) => {
              const { width, height } = FORMATS.find((one) => one.id === event.target.value) ?? project.canvas;
              changeProject("shape", { canvas: { ...project.canvas, width, height } }, { canvas: project.canvas });
            }}
          >
            {formatOf(project.canvas) === "" && (
              <option value="">
                {project.canvas.width}×{project.canvas.height}
              </option>
            )}
            {FORMATS.map((one) => (
              <option key={one.id} value={one.id}>
                {one.name}
              </option>
            ))}
          </select>
          <span className="quiet">
            {scenes.length} {scenes.length === 1 ? "scene" : "scenes"}, about {Math.round(seconds)} s
          </span>
        </div>
        {mayChange && (
          <div className="row">
            <button type="button" className="plain" disabled={!changes.last || changes.busy} onClick={() => void undo()}>
              Undo{changes.last && <span className="visually-hidden"> {changes.last}</span>}
            </button>
            <button type="button" className="plain" disabled={!changes.next || changes.busy} onClick={() => void redo()}>
              Redo{changes.next && <span className="visually-hidden"> {changes.next}</span>}
            </button>
          </div>
        )}
      </div>
      {changes.error !== undefined && <ErrorNotice error={changes.error} />}
      <ol className="scene-list">
        {scenes.map((scene, index) => (
          <SceneCard
            key={scene.id}
            scene={scene}
            number={index + 1}
            count={scenes.length}
            presenters={presenters}
            standard={project.persona}
            calls={calls}
            mayChange={mayChange}
            onChange={(name, fields, before) => changeScene(scene, name, fields, before)}
            onMove={(by) => moveScene(index, by)}
            onSplit={(at, script) => splitScene(scene, index, at, script)}
            onMerge={() => joinScenes(scene, index)}
            onDelete={() => deleteScene(scene, index)}
          />
        ))}
      </ol>
      {mayChange && may("scene:create") && (
        <div>
          <button type="button" onClick={addScene} disabled={changes.busy}>
            Add a scene
          </button>
        </div>
      )}
      <Video project={project} scenes={scenes} me={me} />
      {may("project:delete") && (
        <div className="row ends">
          <ConfirmedAction
            label="Delete project"
            title={`Delete “${project.title}”?`}
            confirmLabel="Delete"
            action={() => api.DELETE("/api/projects/{ref}", { params: { path: { ref: project.id } } })}
            onSuccess={() => location.assign("#/projects")}
          >
            <p>Its scenes and versions go with it. Videos that were made of it stay.</p>
          </ConfirmedAction>
        </div>
      )}
    </div>
  );
}

function Title({ project, mayChange }: { project: Project; mayChange: boolean }) {
  const calls = useProjectCalls(project.id);
  const queries = useQueryClient();
  const versionOf = (one: Project) => ({ text: one.title, at: one.updated_at });
  const title = useAutosave(
    `soundstage.title.${project.id}`,
    versionOf(project),
    async () => versionOf(await body(api.GET("/api/projects/{ref}", { params: { path: { ref: project.id } } }))),
    async (text) => {
      // A project always has a title: an empty field is not saved.
      const changed = text.trim() ? await calls.change({ title: text.trim() }) : project;
      void queries.invalidateQueries({ queryKey: ["projects"] });
      return versionOf(changed);
    },
  );
  return (
    <>
      <h1 className="visually-hidden">{title.text}</h1>
      <input
        className="project-title"
        aria-label="Title of the project"
        value={title.text}
        maxLength={200}
        readOnly={!mayChange}
        onChange={(event) => title.write(event.target.value)}
        onBlur={() => void title.flush()}
      />
    </>
  );
}

/** What a scene is besides its place. */
function contentOf({ id: _id, project_id: _project, created_at: _made, updated_at: _changed, ...content }: Scene): SceneChange {
  return content;
}

function Video({ project, scenes, me }: { project: Project; scenes: Scene[]; me: Me }) {
  const [id, setId] = useState("");
  const render = useMutation({
    mutationFn: () => body(api.POST("/api/renders", { body: { project: project.id } as never })),
    onSuccess: (made) => setId((made as Render).id),
  });
  const found = useQuery({
    queryKey: ["render", id],
    queryFn: () => body(api.GET("/api/renders/{render_id}", { params: { path: { render_id: id } } })),
    enabled: id !== "",
  });
  const empty = scenes.every((one) => !one.script.trim() && !one.audio);
  const video = found.data;
  const busy = render.isPending || (video !== undefined && !ENDED.includes(video.state));
  return (
    <>
      {me.permissions.includes("render:create") && (
        <div className="row make-bar">
          <button type="button" className="primary" disabled={empty || busy} onClick={() => render.mutate()}>
            {video ? "Make the video again" : "Make the video"}
          </button>
          <span className="quiet">
            {empty ? "Write what should be said first." : "Scenes that did not change are not drawn again."}
          </span>
        </div>
      )}
      {render.error && <ErrorNotice error={render.error} />}
      {video?.state === "done" ? (
        <section className="card player" aria-label="The video">
          {/* biome-ignore lint/a11y/useMediaCaption: captions are a track of the file */}
          <video src={fileUrl(video.id, "video")} controls autoPlay playsInline />
          <div className="about">
            <a href={`#/videos/${video.id}`}>Open the video</a>
          </div>
        </section>
      ) : (
        video && <Making render={video} me={me} />
      )}
    </>
  );
}
