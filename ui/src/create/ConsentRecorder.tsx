/** The consent read aloud and recorded, as evidence beside the photo. */
import { t } from "@lingui/core/macro";
import { useEffect, useRef, useState } from "react";
import type { Asset } from "../api/client";
import { ErrorNotice } from "../kit/kit";
import { useUpload } from "./useAssets";

const LONGEST_MS = 60_000;

interface Props {
  person: string;
  recorded: Asset | null;
  onRecorded: (asset: Asset | null) => void;
}

export function ConsentRecorder({ person, recorded, onRecorded }: Props) {
  const recorder = useRef<MediaRecorder | null>(null);
  const [isRecording, setRecording] = useState(false);
  const [missing, setMissing] = useState(false);
  const upload = useUpload(onRecorded);
  useEffect(() => () => recorder.current?.stream.getTracks().forEach((track) => void track.stop()), []);

  const record = async () => {
    setMissing(false);
    let stream: MediaStream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    } catch {
      return setMissing(true);
    }
    const parts: Blob[] = [];
    const started = new MediaRecorder(stream);
    recorder.current = started;
    started.ondataavailable = ({ data }) => parts.push(data);
    started.onstop = () => {
      for (const track of stream.getTracks()) track.stop();
      setRecording(false);
      const type = started.mimeType.split(";")[0] || "audio/webm";
      upload.mutate(new File(parts, `${person.trim() || "consent"}.webm`, { type }));
    };
    started.start();
    setRecording(true);
    setTimeout(() => started.state === "recording" && started.stop(), LONGEST_MS);
  };
  return (
    <div className="row">
      <button type="button" disabled={upload.isPending} onClick={() => (isRecording ? recorder.current?.stop() : void record())}>
        {isRecording ? `◼ ${t`Stop`}` : t`Record it read aloud`}
      </button>
      {isRecording && <span role="status">{t`Recording: let the person read the sentence above.`}</span>}
      {recorded && !isRecording && (
        <>
          {/* biome-ignore lint/a11y/useMediaCaption: its words stand above */}
          <audio controls src={recorded.url} aria-label={t`The recorded consent`} />
          <button type="button" className="plain" onClick={() => onRecorded(null)}>{t`Remove`}</button>
        </>
      )}
      {missing && <span className="problem">{t`No microphone can be used.`}</span>}
      {upload.error && <ErrorNotice error={upload.error} />}
    </div>
  );
}
