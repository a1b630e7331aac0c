/** The consent read aloud and recorded, as evidence beside the photo. */
import { t } from "@lingui/core/macro";
import { useEffect, useRef, useState } from "react";
import type { Asset } from "../api/client";
import { UploadNote } from "./UploadNote";
import { useUpload } from "./useAssets";

const LONGEST_MS = 60_000;

interface Props {
  person: string;
  recorded: Asset | null;
  onRecorded: (asset: Asset | null) => void;
  /** While it records or uploads: the consent is not complete. */
  onBusy: (busy: boolean) => void;
}

export function ConsentRecorder({ person, recorded, onRecorded, onBusy }: Props) {
  const recorder = useRef<MediaRecorder | null>(null);
  const hasLeft = useRef(false);
  const [phase, setPhase] = useState<"idle" | "opening" | "recording">("idle");
  const [missing, setMissing] = useState(false);
  const upload = useUpload(onRecorded);
  const isRecording = phase === "recording";
  const busy = phase !== "idle" || upload.isPending;
  useEffect(() => onBusy(busy), [busy, onBusy]);
  useEffect(() => {
    hasLeft.current = false;
    return () => {
      hasLeft.current = true;
      for (const track of recorder.current?.stream.getTracks() ?? []) track.stop();
    };
  }, []);

  const record = async () => {
    setMissing(false);
    setPhase("opening");
    let stream: MediaStream | null = null;
    const close = () => {
      for (const track of stream?.getTracks() ?? []) track.stop();
      setPhase("idle");
    };
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      if (hasLeft.current) return close();
      const parts: Blob[] = [];
      const started = new MediaRecorder(stream);
      recorder.current = started;
      started.ondataavailable = ({ data }) => parts.push(data);
      started.onstop = () => {
        close();
        // Whoever has left the dialog wants nothing kept.
        if (hasLeft.current) return;
        const type = started.mimeType.split(";")[0] || "audio/webm";
        upload.mutate(new File(parts, `${person.trim() || "consent"}.webm`, { type }));
      };
      started.start();
      setPhase("recording");
      setTimeout(() => started.state === "recording" && started.stop(), LONGEST_MS);
    } catch {
      close();
      setMissing(true);
    }
  };
  return (
    <div className="row">
      <button
        type="button"
        disabled={upload.isPending || phase === "opening"}
        onClick={() => (isRecording ? recorder.current?.stop() : void record())}
      >
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
      <UploadNote of={upload} />
    </div>
  );
}
