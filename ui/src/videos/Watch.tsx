/** One video at its own address: player and transcript, or how far it is; where it comes from, its links, and deleting it. */
import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { api, body, type Me, type Render, type RenderDetail } from "../api/client";
import { suggest } from "../chat/suggestion";
import { ConfirmedAction } from "../kit/ConfirmedAction";
import { ErrorNotice, Reason, State } from "../kit/kit";
import { ENDED, Making } from "./Making";
import { Files, Origin } from "./Origin";
import { Player } from "./Player";
import { Publications } from "./Publications";
import { ShareLinks } from "./ShareLinks";
import { Transcript, transcriptQuery } from "./Transcript";
import { mayTakeFocus } from "./VideosView";
import { fileUrl } from "./words";
import "./watch.css";

export function Watch({ id, me }: { id: string; me: Me }) {
  const heading = useRef<HTMLHeadingElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const { t: begin } = useSearch({ strict: false });
  const found = useQuery({
    queryKey: ["render", id],
    queryFn: () => body(api.GET("/api/renders/{render_id}", { params: { path: { render_id: id } } })),
  });
  useEffect(() => {
    if (mayTakeFocus()) heading.current?.focus({ preventScroll: true });
  }, []);
  const render = found.data;
  const isDone = render?.state === "done";
  const [sharing, setSharing] = useState(false);
  const hasLinks = isDone && render?.kind !== "preview" && me.permissions.includes("link:read");
  return (
    <div className="stack watch">
      <div className="row apart">
        <Link to="/videos">{t`All videos`}</Link>
        <div className="row">
          {render?.project_id && me.permissions.includes("project:read") && (
            <Link className="button" to="/studio/p/$slug" params={{ slug: render.project_id }}>{t`Edit project`}</Link>
          )}
          {hasLinks && me.permissions.includes("link:create") && (
            <button
              type="button"
              onClick={() => {
                setSharing(true);
                document.getElementById("links-title")?.scrollIntoView({ block: "center" });
              }}
            >
              {t({ message: "Share", context: "with others, by a link" })}
            </button>
          )}
          {isDone && <a className="button primary" href={fileUrl(id, "video")} download="">{t`Download`}</a>}
        </div>
      </div>
      <h1 ref={heading} tabIndex={-1} dir="auto">
        {render?.title ?? (found.error ? t`No such video` : t`One moment`)}
      </h1>
      {found.error && <ErrorNotice error={found.error} />}
      {render?.trashed_at && <p className="quiet">{t`It is in the trash.`}</p>}
      {render && !isDone && (
        <Making render={render} me={me} titled help={render.state === "failed" && <Failure render={render} me={me} />} />
      )}
      {render && isDone && (
        <>
          <div className="watch-main">
            <Player render={render} video={video} begin={begin} />
            <Transcript render={render} video={video} />
          </div>
          <BelowTranscript of={render}>
            {hasLinks && <ShareLinks render={render} me={me} making={sharing} onMaking={setSharing} />}
            <Publications render={render} me={me} />
            <div className="watch-more">
              <Files render={render} />
              <Origin render={render} me={me} />
            </div>
          </BelowTranscript>
        </>
      )}
      {render && !isDone && <Scenes render={render} />}
      {render && me.permissions.includes("trace:read") && (
        <div>
          <Link to="/run/log/$id" params={{ id: render.id }}>{t`Steps and their times`}</Link>
        </div>
      )}
      {render && ENDED.includes(render.state) && me.permissions.includes("render:delete") && <Delete render={render} />}
    </div>
  );
}

/** Shown once the transcript has its height: a form that opened before would be pushed out of sight. */
function BelowTranscript({ of, children }: { of: RenderDetail; children: ReactNode }) {
  return useQuery(transcriptQuery(of)).isPending ? null : children;
}

/** What helps a video that failed, the likeliest first. */
function Failure({ render, me }: { render: RenderDetail; me: Me }) {
  const scene = render.failed_scene;
  const [asked, setAsked] = useState(false);
  const log = useQuery({
    queryKey: ["render-log", render.id, render.attempt],
    queryFn: () => body(api.GET("/api/renders/{render_id}/log", { params: { path: { render_id: render.id } }, parseAs: "text" })),
    enabled: asked,
  });
  const number = (scene?.index ?? 0) + 1;
  const title = scene?.title ? `, “${scene.title.replace(/[.!?…]+$/, "")}”` : "";
  const script = scene && spokenIn(render)[scene.index];
  const change = () => suggest(`Change scene ${number} of ${render.project_id} to: ${script ?? ""}`);
  return (
    <>
      {scene && (
        <p>
          <Trans>
            It failed in{" "}
            <button type="button" className="link" onClick={() => document.getElementById(`scene-${number}`)?.focus()}>
              scene {number}
            </button>
            {title}.
          </Trans>
        </p>
      )}
      <div className="row">
        {render.offers.includes("edit_scene") && me.permissions.includes("chat:use") && (
          <button type="button" onClick={change}>
            {t`Change scene ${number}`}
          </button>
        )}
        {render.offers.includes("read_log") && (
          <button type="button" aria-expanded={asked} onClick={() => setAsked(!asked)}>{t`What the worker wrote`}</button>
        )}
        {!render.offers.includes("read_log") && !scene && (
          <span className="quiet">
            <Trans>
              <code>soundstage doctor</code> looks for what is missing on the computer that makes videos.
            </Trans>
          </span>
        )}
      </div>
      {asked && log.error && <ErrorNotice error={log.error} />}
      {asked && log.data && <pre className="worker-log">{log.data}</pre>}
    </>
  );
}

/** The scripts of its scenes; empty for a film with a new mouth, which has none. */
const spokenIn = (render: RenderDetail): string[] =>
  "scenes" in render.spec ? render.spec.scenes.map((scene) => scene.script ?? "") : [];

function Scenes({ render }: { render: RenderDetail }) {
  const scripts = spokenIn(render);
  if (scripts.length === 0 || (scripts.length === 1 && render.state !== "failed")) return null;
  return (
    <section className="stack" aria-labelledby="scenes-title">
      <h2 id="scenes-title">{t`Scenes`}</h2>
      <ol className="scenes">
        {scripts.map((script, index) => {
          const segment = render.segments[index];
          const failed = render.failed_scene?.index === index;
          return (
            <li key={index} id={`scene-${index + 1}`} className={failed ? "card failed" : "card"} tabIndex={-1}>
              <div className="row apart">
                <h3>{t`Scene ${index + 1}`}</h3>
                {segment && <State of={failed ? "failed" : segment.state} />}
              </div>
              <p className="script" dir="auto">
                {script}
              </p>
              {failed && segment?.error && segment.error.message !== render.error?.message && (
                <p className="problem">
                  <Reason of={segment.error} />
                </p>
              )}
            </li>
          );
        })}
      </ol>
    </section>
  );
}

function Delete({ render }: { render: Render }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  return (
    <div className="row">
      <ConfirmedAction
        label={t`Delete`}
        title={t`Delete “${render.title}”?`}
        confirmLabel={t`Delete this video`}
        action={() => api.DELETE("/api/renders/{render_id}", { params: { path: { render_id: render.id } } })}
        onSuccess={() => {
          void navigate({ to: "/videos" });
          queries.removeQueries({ queryKey: ["render", render.id] });
          void queries.invalidateQueries({ queryKey: ["renders"] });
          void queries.invalidateQueries({ queryKey: ["render-row", render.id] });
        }}
      >
        <p>{t`It goes to the trash with its captions and its provenance, and can be restored from there.`}</p>
      </ConfirmedAction>
    </div>
  );
}
