/** Records a call for a video of it: asks first, shows that it goes on, and leads to the video. */
import { t } from "@lingui/core/macro";
import { useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Suspense, useState } from "react";
import { api, body } from "../api/client";
import { ErrorNotice } from "../kit/kit";
import { lazyPart } from "../kit/part";
import { usePrincipal } from "../shell/me";
import type { CallView } from "../sound/call";

const load = () => import("../kit/Modal");
const Modal = lazyPart(async () => ({ default: (await load()).Modal }));
const path = (session_id: string) => ({ params: { path: { session_id } } });
const RECORDING = "/api/voice/session/{session_id}/recording";

export function Recording({ view }: { view: CallView }) {
  const mayRecord = usePrincipal().permissions.includes("render:create");
  const [open, setOpen] = useState(false);
  const [withMe, setWithMe] = useState(true);
  const close = () => setOpen(false);
  const session = path(view.sessionId);
  const start = useMutation({
    mutationFn: () => body(api.POST(RECORDING, { ...session, body: { with_person: withMe } })),
    onSuccess: close,
  });
  const finish = useMutation({
    mutationFn: () => body(api.POST("/api/voice/session/{session_id}/recording/video", session)),
    onSuccess: close,
  });
  const discard = useMutation({ mutationFn: () => api.DELETE(RECORDING, session), onSuccess: close });
  const problem = start.error ?? finish.error ?? discard.error;
  const isBusy = start.isPending || finish.isPending || discard.isPending;
  if (!mayRecord) return null;
  const show = () => {
    for (const one of [start, finish, discard]) one.reset();
    setOpen(true);
  };
  return (
    <>
      {view.phase === "on" && (
        <button
          type="button"
          className="talk-record"
          aria-haspopup="dialog"
          aria-pressed={view.recorded}
          onPointerEnter={() => void load()}
          onFocus={() => void load()}
          onClick={show}
        >
          <span className="dot" aria-hidden="true" />
          {view.recorded ? t`Recording` : t`Record`}
        </button>
      )}
      {finish.data && !view.recorded && (
        <p className="talk-video" role="status">
          <Link to="/videos/$id" params={{ id: finish.data.id }}>{t`The video is being made`}</Link>
        </p>
      )}
      {open && (
        <Suspense>
          <Modal
            title={view.recorded ? t`End the recording` : t`Record a video of this conversation`}
            dismissable
            onClose={close}
          >
            {view.recorded ? (
              <p>{t`What was said so far becomes a video. Hanging up does the same.`}</p>
            ) : (
              <>
                <p>{t`What both of you say from now on becomes a video with captions. Long waits are cut.`}</p>
                <label className="row">
                  <input type="checkbox" checked={withMe} onChange={(event) => setWithMe(event.target.checked)} />
                  {t`My voice is in it`}
                </label>
                {!withMe && <p className="quiet">{t`What you say is shown as text; your voice is not kept.`}</p>}
              </>
            )}
            {problem && <ErrorNotice error={problem} />}
            <div className="row ends">
              {view.recorded ? (
                <>
                  <button type="button" disabled={isBusy} onClick={() => discard.mutate()}>{t`Discard it`}</button>
                  <button type="button" className="primary" disabled={isBusy} onClick={() => finish.mutate()}>
                    {t`Make the video`}
                  </button>
                </>
              ) : (
                <>
                  <button type="button" onClick={close}>{t`Cancel`}</button>
                  <button type="button" className="primary" disabled={isBusy} onClick={() => start.mutate()}>
                    {t`Start recording`}
                  </button>
                </>
              )}
            </div>
          </Modal>
        </Suspense>
      )}
    </>
  );
}
