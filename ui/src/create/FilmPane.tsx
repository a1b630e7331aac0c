/** The newest film of a project: as it is drawn, or the film itself. */
import { t } from "@lingui/core/macro";
import { Link } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import type { Me, RenderDetail } from "../api/client";
import { ENDED, Making } from "../videos/Making";
import { facts, fileUrl } from "../videos/words";
import { formatOf } from "./boxes";

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
