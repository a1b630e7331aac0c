/** How far a video is, or why it is not there, and what may be done about it. */
import { t } from "@lingui/core/macro";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { api, type Me, type Render, type RenderSummary } from "../api/client";
import { ErrorNotice, Reason, State } from "../kit/kit";
import { stateWords } from "../kit/State";
import { duration, number, stageWords, waitsWords } from "./words";

export const ENDED = ["done", "failed", "cancelled"];

interface Props {
  render: Render | RenderSummary;
  me: Me;
  /** Its title stands above it already. */
  titled?: boolean;
  /** What else helps one that failed. */
  help?: ReactNode;
}

export function Making({ render, me, titled = false, help }: Props) {
  const queries = useQueryClient();
  const done = () => queries.invalidateQueries({ queryKey: ["render", render.id] });
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
        <h2 id="progress-title" className={titled ? "visually-hidden" : undefined} dir="auto">
          {render.title}
        </h2>
        <State of={render.state}>{render.cancel_requested && !ended ? t`cancelling` : stateWords(render.state)}</State>
      </div>
      {render.error && (
        <div className="problem">
          <Reason of={render.error} />
        </div>
      )}
      {!ended && (
        <div className="at-work">
          {preview && <img className="preview" src={preview.url} alt={t`The latest frame`} />}
          <div className="stack">
            <progress max={1} value={total ? made / total : 0} aria-labelledby="progress-title" />
            <dl className="figures">
              <div>
                <dt>{t`Stage`}</dt>
                <dd>{stageWords(named)}</dd>
              </div>
              <div>
                <dt>{t`Frames`}</dt>
                <dd>{total ? t`${number(made)} of ${number(total)}` : "–"}</dd>
              </div>
              <div>
                <dt>{t`Per second`}</dt>
                <dd>{fps ? number(fps) : "–"}</dd>
              </div>
              <div>
                <dt>{t`Left`}</dt>
                <dd>{eta == null || render.waits ? "–" : duration(eta)}</dd>
              </div>
            </dl>
            {render.waits && <p className="quiet">{waitsWords(render.waits)}</p>}
          </div>
        </div>
      )}
      {(cancel.error ?? retry.error) && <ErrorNotice error={cancel.error ?? retry.error} />}
      <div className="row">
        {!ended && me.permissions.includes("render:cancel") && (
          <button type="button" onClick={() => cancel.mutate()} disabled={cancel.isPending || render.cancel_requested}>
            {t`Cancel`}
          </button>
        )}
        {ended && me.permissions.includes("render:create") && (
          <button
            type="button"
            className={render.state === "failed" ? "primary" : undefined}
            onClick={() => retry.mutate()}
            disabled={retry.isPending}
          >
            {t`Try again`}
          </button>
        )}
      </div>
      {help}
    </section>
  );
}
