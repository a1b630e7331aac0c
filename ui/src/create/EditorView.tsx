/** A project at its own address: its script scene by scene, its look, and its film. */
import { i18n } from "@lingui/core";
import { msg, plural, t } from "@lingui/core/macro";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { Suspense, useCallback, useEffect, useRef, useState } from "react";
import { api, body, type Me, type Project, type ProjectState, type RenderPlan } from "../api/client";
import { ProjectChange } from "../api/limits";
import { Field } from "../kit/Field";
import { IconAction } from "../kit/IconAction";
import { ErrorNotice, Reason } from "../kit/kit";
import { lazyPart } from "../kit/part";
import { useSingleMutation } from "../kit/useSingleMutation";
import { useLive } from "../live/Live";
import { Icon } from "../shell/Icon";
import { usePrincipal } from "../shell/me";
import { duration } from "../videos/words";
import { formatOf } from "./boxes";
import { addScene, type Doc, newKey } from "./document";
import { FilmPane, isEnded } from "./FilmPane";
import { begun, changedScenes, filmBegun, useFilmed, useLatestFilm, useRenderPlan } from "./film";
import { focusOnScreen, OnScreen } from "./OnScreen";
import { type Pane, PaneChoice, useNarrowPane } from "./panes";
import { FilmLook, SceneLook } from "./SceneLook";
import { ScenePicture } from "./ScenePicture";
import { focusScript, SceneSection } from "./SceneSection";
import { SpeakerPlaces } from "./SpeakerPlaces";
import { fetchState } from "./save";
import { secondsOf } from "./script";
import { mayDuplicate, useDuplicate } from "./useDuplicate";
import { type Editor, useEditor } from "./useEditor";
import { useSpeech } from "./useSpeech";
import "./create.css";
import "./editor.css";

const VersionsDialog = lazyPart(async () => ({ default: (await import("./VersionsDialog")).VersionsDialog }));

export function EditorView() {
  const me = usePrincipal();
  const { slug: id } = useParams({ from: "/studio/p/$slug" });
  // Read once: from then on the editor knows what it has saved, and stays as it is when all else is asked for again.
  const opened = useRef<ProjectState>(null);
  const state = useQuery({
    queryKey: ["project-state", id],
    queryFn: () => fetchState(id),
    enabled: opened.current === null,
    staleTime: Infinity,
    gcTime: 0,
    refetchOnMount: "always",
  });
  if (state.data && !state.isFetching) opened.current ??= state.data;
  if (opened.current) return <Open state={opened.current} me={me} />;
  if (state.error) return <Missing error={state.error} />;
  return <p className="empty">{t`One moment`}</p>;
}

function Missing({ error }: { error: unknown }) {
  return (
    <div className="stack">
      <div>
        <Link to="/projects">{t`All projects`}</Link>
      </div>
      <h1>{t`No such project`}</h1>
      <ErrorNotice error={error} />
    </div>
  );
}

function Open({ state, me }: { state: ProjectState; me: Me }) {
  const { project } = state;
  const editor = useEditor(state);
  const { doc } = editor;
  const { serverReachable } = useLive();
  const [chosen, select] = useState(doc.scenes[0]?.key ?? "");
  const [layer, selectLayer] = useState<{ scene: string; at: number } | null>(null);
  const [picked, pick] = useState<Pane | null>(null);
  const [isHeld, hold] = useState(false);
  const [shownFilm, setShownFilm] = useState("");
  const [comparing, setComparing] = useState(false);
  const film = useLatestFilm(project.id);
  const filmed = useFilmed(project.id, film?.state === "done" ? film.project_version : null);
  const changed = changedScenes(doc, filmed);
  const place = Math.max(
    0,
    doc.scenes.findIndex((scene) => scene.key === chosen),
  );
  const scene = doc.scenes[place];
  const layerProps = {
    selected: scene && layer?.scene === scene.key && layer.at < scene.body.overlays.length ? layer.at : null,
    onSelect: (at: number | null) => {
      selectLayer(scene && at !== null ? { scene: scene.key, at } : null);
      pick(null);
      hold(false);
    },
  };
  const frame = useRef<HTMLDivElement>(null);
  const narrowPane = useNarrowPane(frame, film && begun.has(film.id) ? "film" : "script", scene?.key ?? "");
  const { narrow, show } = narrowPane;
  const render = useRender(project, editor, () => {
    pick(null);
    show("film");
  });
  if (film?.state === "done" && film.id !== shownFilm && render.begun.has(film.id)) {
    setShownFilm(film.id);
    hold(true);
  }
  // Until somebody picks one: what shows the scene as it is now, unless somebody watches.
  const isNewer = scene !== undefined && (changed?.has(scene.key) || layerProps.selected !== null);
  const isShownByFilm = film && (isHeld || !isEnded(film) || !isNewer);
  const pane = narrow ? narrowPane.pane : (picked ?? (isShownByFilm ? "film" : "scene"));
  const showOnScreen = useRef(() => {});
  showOnScreen.current = () => {
    if (narrow) show("scene");
    // After it is drawn.
    requestAnimationFrame(focusOnScreen);
  };
  const leadToOnScreen = useCallback(() => showOnScreen.current(), []);
  // biome-ignore lint/correctness/useExhaustiveDependencies: once something is changed, a paused video gives way
  useEffect(() => {
    if (!document.querySelector<HTMLVideoElement>("#film")?.paused) return;
    hold(false);
    pick((one) => (one === "film" ? null : one));
  }, [doc]);
  const isChoice = scene !== undefined && film?.state === "done";
  const mayRender = me.permissions.includes("render:create");
  const speech = useSpeech(project.id, doc, scene, editor);
  const plan = useRenderPlan(project.id, doc, film?.id ?? "", mayRender && editor.saveState === "saved" && isEnded(film));
  const mayEdit = me.permissions.includes("scene:update");
  useEffect(() => {
    document.title = `${doc.title} · Soundstage`;
  }, [doc.title]);
  const failed = editor.saveState === "failed";
  const { flush, undo, redo } = editor;
  const navigate = useNavigate();
  const duplicate = useDuplicate(
    project.id,
    (copy) => void navigate({ to: "/studio/p/$slug", params: { slug: copy.slug } }),
    flush,
  );
  const hasFailed = useRef(failed);
  hasFailed.current = failed;
  useEffect(() => {
    // Once when the server is back; a failure alone is tried again after a pause.
    if (serverReachable && hasFailed.current) void flush();
  }, [serverReachable, flush]);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
      const key = event.key.toLowerCase();
      if (document.activeElement?.closest(".chat") || (key !== "z" && key !== "y")) return;
      // The browser's own undo knows nothing of split, order and looks.
      event.preventDefault();
      if (key === "y" || event.shiftKey) redo();
      else undo();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [undo, redo]);
  const seconds = doc.scenes.reduce((sum, one) => sum + secondsOf(one.body), 0);
  const silent = doc.scenes.some((one) => !one.body.script.trim() && !one.body.audio);

  const filmLook = (
    <FilmLook
      key="film-look"
      brand={doc.brand}
      canvas={doc.canvas}
      music={doc.music}
      output={doc.output}
      persona={doc.persona}
      edit={editor.edit}
    />
  );

  return (
    <div className="editor">
      <h1 className="visually-hidden">{doc.title}</h1>
      <header className="editor-bar">
        <Link to="/projects" className="back">
          <span aria-hidden="true">‹</span> <span>{t`Projects`}</span>
        </Link>
        <Field
          bare
          className="title"
          dir="auto"
          of={ProjectChange}
          name="title"
          label={t`Title of the project`}
          value={doc.title}
          disabled={!mayEdit}
          onChange={(title) => title && editor.edit(t`Title`, (one) => ({ ...one, title }), "title")}
        />
        <span className="quiet saved" role="status">
          {i18n.t(SAVE_WORDS[editor.saveState])}
        </span>
        <span className="row">
          <IconAction label={t`Undo`} tip={t`Undo: ${editor.undoName}`} keys="Ctrl Z" disabled={!editor.undoName} onPress={undo}>
            ↶
          </IconAction>
          <IconAction
            label={t`Redo`}
            tip={t`Redo: ${editor.redoName}`}
            keys="Ctrl Shift Z"
            disabled={!editor.redoName}
            onPress={redo}
          >
            ↷
          </IconAction>
          {mayDuplicate(me) && (
            <IconAction label={t`Duplicate this project`} disabled={duplicate.isPending} onPress={() => duplicate.mutate()}>
              <Icon name="copies" />
            </IconAction>
          )}
          <button type="button" onClick={() => setComparing(true)}>{t`Versions`}</button>
          {mayRender && (
            <button
              type="button"
              className="primary"
              disabled={silent || render.isPending || !isEnded(film)}
              onClick={() => render.mutate()}
            >
              {renderWords(plan, changed, doc.scenes.length)}
            </button>
          )}
        </span>
      </header>
      {failed && (
        <div className="row">
          <ErrorNotice error={editor.error} />
          <button type="button" onClick={() => void flush()}>{t`Save again`}</button>
        </div>
      )}
      {editor.conflict && <ConflictNotice editor={editor} />}
      {comparing && (
        <Suspense>
          <VersionsDialog project={project} editor={editor} mayEdit={mayEdit} onClose={() => setComparing(false)} />
        </Suspense>
      )}
      {render.error && <ErrorNotice error={render.error} />}
      {duplicate.error && <ErrorNotice error={duplicate.error} />}
      <PlanNotices plan={plan} doc={doc} />
      {narrow && (
        <PaneChoice
          label={t`Part of the editor`}
          panes={scene ? ["script", "scene", "film"] : ["script", "film"]}
          shown={pane}
          number={place + 1}
          onChoose={show}
        />
      )}
      <div className="editor-panes" ref={frame}>
        <div className="script stack" hidden={narrow && pane !== "script"}>
          <p className="quiet">
            {t`${plural(doc.scenes.length, { one: "# scene", other: "# scenes" })} · about ${duration(seconds)}`}
            {silent && ` · ${t`every scene needs words before the video can be made`}`}
          </p>
          {doc.scenes.map((one, index) => (
            <SceneSection
              key={one.key}
              scene={one}
              before={doc.scenes[index - 1]}
              place={index}
              count={doc.scenes.length}
              edit={editor.edit}
              persona={doc.persona}
              selected={one === scene}
              changed={changed?.has(one.key) ?? false}
              speech={mayRender && one === scene ? speech : null}
              onSelect={select}
              onOnScreen={leadToOnScreen}
            />
          ))}
          {doc.scenes.length === 0 && (
            <button
              type="button"
              onClick={() => {
                const key = newKey();
                editor.edit(t`Add scene`, (now) => addScene(now, null, key));
                focusScript(key);
              }}
            >
              {t`Add the first scene`}
            </button>
          )}
        </div>
        <aside
          className="side stack"
          aria-label={t`Video and look`}
          hidden={narrow && pane === "script"}
          onKeyDown={(event) => {
            if (event.key !== "Escape" || event.defaultPrevented || !scene) return;
            show("script");
            focusScript(scene.key);
          }}
        >
          {isChoice && !narrow && (
            <PaneChoice label={t`Picture`} panes={["scene", "film"]} shown={pane} number={place + 1} onChoose={pick} />
          )}
          {scene && (narrow || pane === "scene" || (!isChoice && !isShownByFilm)) && (
            <ScenePicture
              projectId={project.id}
              doc={doc}
              scene={scene}
              number={place + 1}
              editor={editor}
              mayPreview={mayRender}
              hidden={narrow && pane !== "scene"}
              {...layerProps}
            />
          )}
          {film && (
            <FilmPane
              film={film}
              begunHere={render.begun.has(film.id)}
              outdated={(changed?.size ?? 0) > 0}
              hidden={narrow ? pane !== "film" : isChoice && pane === "scene"}
              me={me}
              onPlay={() => hold(true)}
            />
          )}
          {narrow && pane === "film" && film === null && <p className="empty">{t`No video yet`}</p>}
          {pane === "film" && filmLook}
          {scene && (!narrow || pane === "scene") && (
            <>
              <OnScreen scene={scene} number={place + 1} editor={editor} format={formatOf(doc.canvas)} {...layerProps} />
              <SpeakerPlaces scene={scene} number={place + 1} editor={editor} />
              <SceneLook scene={scene} number={place + 1} editor={editor} />
            </>
          )}
          {!narrow && pane !== "film" && filmLook}
        </aside>
      </div>
    </div>
  );
}

const SAVE_WORDS = { saved: msg`Saved`, saving: msg`Saving`, conflict: msg`Changed elsewhere`, failed: msg`Not saved` };

/** By the plan of the server; until that is there, by what has changed on this page. */
function renderWords(plan: RenderPlan | undefined, changed: Set<string> | null, count: number): string {
  const anew = plan?.scenes.length ? plan.scenes_new : (changed?.size ?? count);
  const time = plan?.seconds != null && anew > 0 ? t`, about ${duration(plan.seconds)}` : "";
  if (anew === count) return t`Make the video${time}`;
  if (anew === 0) return t`Make it again`;
  return t`Make it again: ${anew} of ${count} scenes${time}`;
}

/** What stands in the way of a film, and overlays that have lost their word. */
function PlanNotices({ plan, doc }: { plan: RenderPlan | undefined; doc: Doc }) {
  const missing = (plan?.missing ?? []).filter((one) => one.code !== "scene.no_words");
  const unanchored = (plan?.scenes ?? []).flatMap((one, at) => one.unanchored.map((word) => ({ word, number: at + 1 })));
  if (missing.length === 0 && unanchored.length === 0) return null;
  const numberOf = (id: string | null) => doc.scenes.findIndex((scene) => scene.key === id) + 1;
  return (
    <ul className="notices" aria-label={t`Before the video`}>
      {missing.map((one) => (
        <li key={`${one.scene} ${one.code}`}>
          <MissingWords of={one} number={numberOf(one.scene)} />
        </li>
      ))}
      {unanchored.map((one) => (
        <li key={`${one.number} ${one.word}`}>
          {t`Scene ${one.number}: “${one.word}” is not said there, so what stands on it is not shown.`}
        </li>
      ))}
    </ul>
  );
}

function MissingWords({ of, number }: { of: RenderPlan["missing"][number]; number: number }) {
  if (number > 0 && of.code === "scene.empty")
    return t`Scene ${number} has no words yet. Write what is said in it, or delete it.`;
  return (
    <>
      {number > 0 && `${t`Scene ${number}`}: `}
      <Reason of={of} />
    </>
  );
}

function useRender(project: Project, editor: Editor, onBegun: () => void) {
  const queries = useQueryClient();
  const render = useSingleMutation({
    mutationFn: async () => {
      if (!(await editor.flush())) return null;
      return body(api.POST("/api/renders", { body: { project: project.id, persona: "nova", priority: 0, preview: false } }));
    },
    onSuccess: (film) => {
      if (!film) return;
      onBegun();
      filmBegun(film.id);
      queries.setQueryData(["film-of", project.id], film.id);
    },
  });
  return { ...render, begun };
}

/** Nothing is lost: both texts are shown, and a person decides. */
function ConflictNotice({ editor }: { editor: Editor }) {
  const { conflict, doc } = editor;
  const mine = doc.scenes.find((scene) => scene.key === conflict?.key);
  const number = doc.scenes.findIndex((scene) => scene.key === conflict?.key) + 1;
  if (!conflict) return null;
  return (
    <section className="card conflict" role="alert" aria-label={t`Two versions of a scene`}>
      <h2>{t`Scene ${number} was changed in another window too`}</h2>
      <div className="both">
        <div>
          <h3>{t`Here`}</h3>
          <p className="script-text">{mine?.body.script}</p>
          <button type="button" onClick={() => editor.settle("mine")}>{t`Take this text`}</button>
        </div>
        <div>
          <h3>{t`There`}</h3>
          <p className="script-text">{conflict.theirs.script}</p>
          <button type="button" onClick={() => editor.settle("theirs")}>{t`Take that text`}</button>
        </div>
      </div>
    </section>
  );
}
