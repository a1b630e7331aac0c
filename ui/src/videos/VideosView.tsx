/** All videos, and the one that is looked at: its player, or how far it is. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, body, type Me, type Render } from "../api/client";
import { NoRows, State, Trouble } from "../kit/kit";
import { useRenders } from "./useRenders";
import { clock, drawnBy, duration, fileUrl, stageWords, when } from "./words";

const FILES = { video: "MP4", vtt: "Captions (VTT)", srt: "Captions (SRT)", provenance: "Provenance", poster: "Poster" };
const ENDED = ["done", "failed", "cancelled"];

export function VideosView({ id, me }: { id: string; me: Me }) {
  const renders = useRenders();
  const all = renders.data ?? [];
  const known = all.find((one) => one.id === id);
  const single = useQuery({
    queryKey: ["renders", id],
    queryFn: () => body(api.GET("/api/renders/{render_id}", { params: { path: { render_id: id } } })),
    enabled: id !== "" && renders.isSuccess && !known,
  });
  const chosen = known ?? single.data ?? (id ? undefined : all.find((one) => !ENDED.includes(one.state)));
  return (
    <div className="stack">
      <h1>Videos</h1>
      {single.error && <Trouble error={single.error} />}
      {chosen && (chosen.state === "done" ? <Player render={chosen} /> : <Making render={chosen} me={me} />)}
      <NoRows of={renders}>Nothing here yet. The first video is a sentence away.</NoRows>
      <ul className="grid">
        {all.map((one) => (
          <li key={one.id}>
            <a className="tile" href={`#/videos/${one.id}`} aria-current={one.id === chosen?.id ? "true" : undefined}>
              <span className="picture">
                {one.state === "done" ? <img src={fileUrl(one.id, "poster")} alt="" loading="lazy" /> : <State of={one.state} />}
              </span>
              <span className="words">
                <span className="title">{one.title}</span>
                <span className="quiet">{facts(one)}</span>
              </span>
            </a>
          </li>
        ))}
      </ul>
    </div>
  );
}

function facts(one: Render): string {
  return [one.duration_ms ? clock(one.duration_ms) : "", when(one.created_at)].filter(Boolean).join(" · ");
}

function Player({ render }: { render: Render }) {
  const roles = render.outputs.map((one) => one.role);
  const drawn = drawnBy(render.progress.engines);
  return (
    <section className="card player" aria-labelledby="player-title">
      {/* biome-ignore lint/a11y/useMediaCaption: captions are there when the video has some */}
      <video
        key={render.id}
        id="video"
        controls
        playsInline
        preload="metadata"
        src={fileUrl(render.id, "video")}
        poster={roles.includes("poster") ? fileUrl(render.id, "poster") : undefined}
      >
        {roles.includes("vtt") && <track kind="captions" src={fileUrl(render.id, "vtt")} srcLang="en" label="Captions" default />}
      </video>
      <div className="about">
        <h2 id="player-title">{render.title}</h2>
        <p className="quiet">
          <span className="chip">synthetic</span> {facts(render)}
        </p>
        {drawn.length > 0 && <p className="quiet">Drawn by {drawn.join(", ")}.</p>}
        <ul className="row" aria-label="Files">
          {Object.entries(FILES).map(
            ([role, name]) =>
              roles.includes(role) && (
                <li key={role}>
                  <a className="button" href={fileUrl(render.id, role)} download="">
                    {name}
                  </a>
                </li>
              ),
          )}
        </ul>
      </div>
    </section>
  );
}

function Making({ render, me }: { render: Render; me: Me }) {
  const queries = useQueryClient();
  const done = () => queries.invalidateQueries({ queryKey: ["renders"] });
  const path = { render_id: render.id };
  const cancel = useMutation({
    mutationFn: () => api.POST("/api/renders/{render_id}/cancel", { params: { path } }),
    onSettled: done,
  });
  const retry = useMutation({
    mutationFn: () => api.POST("/api/renders/{render_id}/retry", { params: { path } }),
    onSettled: done,
  });
  const { stage = "queued", frames_done: made = 0, frames_total: total = 0, fps = 0, eta_s: eta, preview } = render.progress;
  const ended = ENDED.includes(render.state);
  const named = stage !== "queued" ? stage : render.state;
  return (
    <section className="card" id="progress" aria-labelledby="progress-title">
      <div className="row apart">
        <h2 id="progress-title">{render.title}</h2>
        <State of={render.state}>{render.cancel_requested && !ended ? "cancelling" : render.state}</State>
      </div>
      {render.error && (
        <div className="problem">
          <strong>{render.error.message}</strong> {render.error.hint} <code>{render.error.code}</code>
        </div>
      )}
      {!ended && (
        <>
          <progress max={1} value={total ? made / total : 0} aria-labelledby="progress-title" />
          <dl className="figures">
            <div>
              <dt>Stage</dt>
              <dd>{stageWords(named)}</dd>
            </div>
            <div>
              <dt>Frames</dt>
              <dd>{total ? `${made} of ${total}` : "–"}</dd>
            </div>
            <div>
              <dt>Per second</dt>
              <dd>{fps ? fps.toFixed(0) : "–"}</dd>
            </div>
            <div>
              <dt>Left</dt>
              <dd>{eta == null ? "–" : duration(eta)}</dd>
            </div>
          </dl>
          {preview && <img className="preview" src={preview.url} alt="The latest frame" />}
          {render.waits && <p className="quiet">{render.waits}</p>}
        </>
      )}
      {(cancel.error ?? retry.error) && <Trouble error={cancel.error ?? retry.error} />}
      <div className="row">
        {!ended && me.permissions.includes("render:cancel") && (
          <button type="button" onClick={() => cancel.mutate()} disabled={cancel.isPending || render.cancel_requested}>
            Cancel
          </button>
        )}
        {ended && me.permissions.includes("render:create") && (
          <button type="button" onClick={() => retry.mutate()} disabled={retry.isPending}>
            Try again
          </button>
        )}
      </div>
    </section>
  );
}
