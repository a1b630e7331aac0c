/** The newest film of a project: as it is drawn, or the film itself. */
import { t } from "@lingui/core/macro";
import { Link } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import type { Me, RenderDetail } from "../api/client";
import { FilmVideo } from "../videos/FilmVideo";
import { ENDED, Making } from "../videos/Making";
import { facts, fileUrl } from "../videos/words";
import { formatOf } from "./boxes";

interface Props {
  film: RenderDetail;
  /** It plays by itself when it is ready. */
  begunHere: boolean;
  /** The project has changed since. */
  outdated: boolean;
  /** It stands by, where it was. */
  hidden: boolean;
  me: Me;
  onPlay: () => void;
}

export function FilmPane({ film, begunHere, outdated, hidden, me, onPlay }: Props) {
  const video = useRef<HTMLVideoElement>(null);
  const played = useRef(false);
  const done = film.state === "done";
  useEffect(() => {
    // A browser may refuse to play sound before a click; the button is there.
    if (!done || !begunHere || hidden || played.current) return;
    played.current = true;
    void video.current?.play().catch(() => undefined);
  }, [done, begunHere, hidden]);
  useEffect(() => {
    if (hidden) video.current?.pause();
  }, [hidden]);
  const canvas = "canvas" in film.spec ? film.spec.canvas : undefined;
  if (!done || !canvas) return hidden ? null : <Making render={film} me={me} />;
  return (
    <section className="card player" hidden={hidden} aria-label={t`Video`}>
      <FilmVideo of={film} ref={video} id="film" onPlay={onPlay} className={`f${formatOf(canvas).replace(":", "-")}`} />
      <div className="about row apart">
        <p className="quiet">
          {outdated && <span className="chip warn">{t`before the last changes`}</span>}{" "}
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
