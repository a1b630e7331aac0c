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
        <Warnings of={render} />
      </div>
    </section>
  );
}

/** What the video does otherwise than its script asks, such as a mark that its voice cannot speak. */
function Warnings({ of }: { of: RenderDetail }) {
  if (of.warnings.length === 0) return null;
  const scenes = "scenes" in of.spec ? of.spec.scenes : [];
  const numberOf = (scene: string | null | undefined) => 1 + scenes.findIndex((one) => one.id === scene);
  return (
    <ul className="notices" aria-label={t`Notes on this video`}>
      {of.warnings.map(({ scene, message }, index) => (
        <li key={index}>
          {scenes.length > 1 && numberOf(scene) > 0 && <span className="chip">{t`Scene ${numberOf(scene)}`}</span>} {message}
        </li>
      ))}
    </ul>
  );
}
