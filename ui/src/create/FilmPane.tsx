/** What the film looks like: the selected scene's layout, the film as it is drawn, or the film itself. */
import { t } from "@lingui/core/macro";
import { Link } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import type { Me, RenderDetail } from "../api/client";
import { ENDED, Making } from "../videos/Making";
import { facts, fileUrl } from "../videos/words";
import type { Doc, SceneDoc } from "./document";
import { formatOf } from "./SceneLook";
import { faceUrl, usePersonas } from "./usePersonas";

/** `begunHere`: the film plays by itself when it is ready. */
export function FilmPane({ film, begunHere, me }: { film: RenderDetail; begunHere: boolean; me: Me }) {
  const video = useRef<HTMLVideoElement>(null);
  const done = film.state === "done";
  useEffect(() => {
    // A browser may refuse to play sound before a click; the button is there.
    if (done && begunHere) void video.current?.play().catch(() => undefined);
  }, [done, begunHere]);
  const canvas = "canvas" in film.spec ? film.spec.canvas : undefined;
  if (!done || !canvas) return <Making render={film} me={me} />;
  const roles = film.outputs.map((one) => one.role);
  return (
    <section className="card player" aria-label={t`Film`}>
      {/* biome-ignore lint/a11y/useMediaCaption: captions are there when the video has some */}
      <video
        key={film.id}
        ref={video}
        id="film"
        className={`f${formatOf(canvas).replace(":", "-")}`}
        controls
        playsInline
        preload="metadata"
        src={fileUrl(film.id, "video")}
        poster={roles.includes("poster") ? fileUrl(film.id, "poster") : undefined}
      >
        {roles.includes("vtt") && (
          <track kind="captions" src={fileUrl(film.id, "vtt")} srcLang="en" label={t`Captions`} default />
        )}
      </video>
      <div className="about row apart">
        <p className="quiet">
          <span className="chip">{t`synthetic`}</span> {facts(film)}
        </p>
        <div className="row">
          <a className="button" href={fileUrl(film.id, "video")} download="">{t`Download`}</a>
          <Link className="button" to="/videos/$id" params={{ id: film.id }}>{t`Details`}</Link>
        </div>
      </div>
    </section>
  );
}

export const isEnded = (film: RenderDetail | null | undefined) => !film || ENDED.includes(film.state);

/** Where the presenter stands and what lies behind: no drawn frame, and it says so. */
export function LayoutPicture({ doc, scene, number }: { doc: Doc; scene: SceneDoc; number: number }) {
  const { data } = usePersonas();
  const entry = data?.find((one) => one.id === (scene.body.persona ?? doc.persona));
  const url = faceUrl(entry, 640);
  return (
    <figure className="card layout">
      <div className={`canvas f${formatOf(doc.canvas).replace(":", "-")}`}>
        {url && <img src={url} alt={t`Scene ${number}: ${entry?.persona?.name ?? ""}`} />}
      </div>
      <figcaption className="quiet">{t`Layout of scene ${number}; the film has the drawn picture.`}</figcaption>
    </figure>
  );
}
