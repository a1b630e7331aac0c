/** The player of one finished video; `?t=12.4` in its address begins there. */
import { t } from "@lingui/core/macro";
import type { RefObject } from "react";
import type { RenderDetail } from "../api/client";
import { FilmVideo } from "./FilmVideo";
import { facts } from "./words";

interface Props {
  render: RenderDetail;
  video: RefObject<HTMLVideoElement | null>;
  /** Seconds. */
  begin: number | undefined;
}

export function Player({ render, video, begin }: Props) {
  return (
    <section className="card player" aria-label={t`Player`}>
      <FilmVideo
        of={render}
        ref={video}
        id="video"
        onLoadedMetadata={({ currentTarget }) => {
          if (begin) currentTarget.currentTime = begin;
        }}
      />
      <div className="about">
        <p className="quiet">
          <span className="chip">{t`synthetic`}</span> {facts(render)}
        </p>
      </div>
    </section>
  );
}
