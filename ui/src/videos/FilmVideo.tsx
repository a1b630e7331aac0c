/** The player of a finished video, with its poster and captions. */
import { t } from "@lingui/core/macro";
import type { ComponentProps } from "react";
import type { RenderDetail } from "../api/client";
import { fileUrl } from "./words";

type Props = Omit<ComponentProps<"video">, "src" | "poster" | "children"> & { of: Pick<RenderDetail, "id" | "outputs" | "spec"> };

/** Captions that the picture has already are offered, and not shown a second time. */
const hasThemInPicture = (spec: RenderDetail["spec"]) => "output" in spec && spec.output?.captions?.mode === "both";

export function FilmVideo({ of, ...more }: Props) {
  const roles = of.outputs.map((one) => one.role);
  const { width = 16, height = 9 } = of.spec.canvas ?? {};
  return (
    <video
      key={of.id}
      controls
      playsInline
      preload="metadata"
      // Nothing below moves when the film is there.
      style={{ aspectRatio: `${width} / ${height}` }}
      src={fileUrl(of.id, "video")}
      poster={roles.includes("poster") ? fileUrl(of.id, "poster") : undefined}
      {...more}
    >
      {roles.includes("vtt") && (
        <track
          kind="captions"
          src={fileUrl(of.id, "vtt")}
          srcLang="en"
          label={t`Captions`}
          default={!hasThemInPicture(of.spec)}
        />
      )}
    </video>
  );
}
