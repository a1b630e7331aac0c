/** A photo in motion, speaking, before a presenter is created from it; the server stores nothing of it. */
import { t } from "@lingui/core/macro";
import { useMutation } from "@tanstack/react-query";
import { useEffect } from "react";
import { api, body } from "../api/client";
import { Problem } from "../api/problem";
import { ErrorNotice } from "../kit/kit";

const RETRIES = 5;

interface Props {
  request: () => Promise<object>;
  /** Whose voice is heard, where the own one is not cloned yet. */
  borrowed: string;
}

export function PortraitPreview({ request, borrowed }: Props) {
  const preview = useMutation({
    // The server lets no request wait for long; the next one joins the same work.
    retry: (count, error) => count < RETRIES && error instanceof Problem && error.code === "rendition.not_ready",
    mutationFn: async () =>
      URL.createObjectURL(await body(api.POST("/api/personas/preview", { body: (await request()) as never, parseAs: "blob" }))),
  });
  const src = preview.data;
  useEffect(() => () => void (src && URL.revokeObjectURL(src)), [src]);
  return (
    <div className="stack portrait-preview">
      {src && (
        // biome-ignore lint/a11y/useMediaCaption: a greeting that is the same for everybody
        <video
          src={src}
          controls
          autoPlay
          playsInline
          aria-label={t`Preview of the presenter`}
          onLoadedData={({ currentTarget }) => currentTarget.scrollIntoView({ block: "center" })}
        />
      )}
      <div className="row">
        <button type="button" disabled={preview.isPending} onClick={() => preview.mutate()}>
          {src ? t`Preview again` : t`Preview`}
        </button>
        {preview.isPending && <span className="quiet" role="status">{t`Drawing the preview`}</span>}
        {borrowed && (
          <span className="quiet">{t`In the voice of ${borrowed}: their own is cloned when the presenter is created.`}</span>
        )}
      </div>
      {preview.error && <ErrorNotice error={preview.error} />}
    </div>
  );
}
