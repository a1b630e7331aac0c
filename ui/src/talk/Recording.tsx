/** Records a call for a video of it: asks first, shows that it goes on, and leads to the video. */
import { t } from "@lingui/core/macro";
import { useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Suspense, useEffect, useState } from "react";
import { api, body } from "../api/client";
import { ErrorNotice } from "../kit/kit";
import { lazyPart, prefetch } from "../kit/part";
import { usePrincipal } from "../shell/me";
import type { CallView } from "../sound/view";

const load = () => import("../kit/Modal");
const Modal = lazyPart(async () => ({ default: (await load()).Modal }));
const path = (session_id: string) => ({ params: { path: { session_id } } });
const RECORDING = "/api/voice/session/{session_id}/recording";

export function Recording({ view }: { view: CallView }) {
  const { sessionId, recorded } = view;
  const mayRecord = usePrincipal().permissions.includes("render:create");
  const [dialog, setDialog] = useState<"begin" | "end" | null>(null);
  /** The session whose recording has become no video yet: it may have ended by itself, or a video was refused. */
  const [waiting, setWaiting] = useState("");
  const [withMe, setWithMe] = useState(true);
  const close = () => setDialog(null);
  const session = path(sessionId);
  const isOver = () => {
    setWaiting("");
    close();
  };
  const start = useMutation({
    mutationFn: () => body(api.POST(RECORDING, { ...session, body: { with_person: withMe } })),
    onSuccess: close,
  });
  const finish = useMutation({
    mutationFn: () => body(api.POST("/api/voice/session/{session_id}/recording/video", session)),
    onSuccess: isOver,
  });
  const discard = useMutation({ mutationFn: () => api.DELETE(RECORDING, session), onSuccess: isOver });
  const problem = start.error ?? finish.error ?? discard.error;
  const isBusy = start.isPending || finish.isPending || discard.isPending;
  const forget = finish.reset;
  useEffect(() => {
    if (recorded) {
      setWaiting(sessionId);
      forget();
    }
  }, [recorded, sessionId, forget]);
  // A dialog about a call that has ended says nothing any more.
  useEffect(() => {
    if (!sessionId) setDialog(null);
  }, [sessionId]);
  if (!mayRecord) return null;
  const hasRecording = recorded || (waiting !== "" && waiting === sessionId);
  const show = () => {
    for (const one of [start, finish, discard]) one.reset();
    setDialog(hasRecording ? "end" : "begin");
  };
  return (
    <>
      {(view.phase === "on" || view.phase === "reconnecting") && (
        <button
          type="button"
          className="talk-record"
          aria-haspopup="dialog"
          aria-pressed={recorded}
          {...prefetch(load)}
          onClick={show}
        >
          <span className="dot" aria-hidden="true" />
          {recorded ? t`Recording` : hasRecording ? t`Recorded` : t`Record`}
        </button>
      )}
      <p className="talk-video" role="status">
        {finish.data && !hasRecording && (
          <Link to="/videos/$id" params={{ id: finish.data.id }}>{t`The video is being made`}</Link>
        )}
        {!sessionId && waiting && !finish.data && <Link to="/videos">{t`The recording becomes a video`}</Link>}
      </p>
      {dialog && (
        <Suspense>
          <Modal
            title={dialog === "end" ? t`End the recording` : t`Record a video of this conversation`}
            dismissable
            onClose={close}
          >
            {dialog === "end" ? (
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
              {dialog === "end" ? (
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
