/** The player of one finished video; `?t=12.4` in its address begins there. */
import { t } from "@lingui/core/macro";
import type { RefObject } from "react";
import type { Render } from "../api/client";
import { facts, fileUrl } from "./words";

interface Props {
  render: Render;
  video: RefObject<HTMLVideoElement | null>;
  /** Seconds. */
  begin: number | undefined;
}

export function Player({ render, video, begin }: Props) {
  const roles = render.outputs.map((one) => one.role);
  return (
    <section className="card player" aria-label={t`Player`}>
      {/* biome-ignore lint/a11y/useMediaCaption: captions are there when the video has some */}
      <video
        key={render.id}
        ref={video}
        id="video"
        controls
        playsInline
        preload="metadata"
        src={fileUrl(render.id, "video")}
        poster={roles.includes("poster") ? fileUrl(render.id, "poster") : undefined}
        onLoadedMetadata={({ currentTarget }) => {
          if (begin) currentTarget.currentTime = begin;
        }}
      >
        {roles.includes("vtt") && (
          <track kind="captions" src={fileUrl(render.id, "vtt")} srcLang="en" label={t`Captions`} default />
        )}
      </video>
      <div className="about">
        <p className="quiet">
          <span className="chip">{t`synthetic`}</span> {facts(render)}
        </p>
      </div>
    </section>
  );
}
