/** A picture by the camera, with an outline to pose in and a word on the light. */
import { t } from "@lingui/core/macro";
import { useEffect, useRef, useState } from "react";

const LOOK_MS = 500;
const DARK = 60;
const BRIGHT = 215;
const SIDE = 32;

interface Props {
  onPicture: (file: File) => void;
  onClose: () => void;
}

type Failure = "insecure" | "denied" | "missing";

export function CameraPicture({ onPicture, onClose }: Props) {
  const video = useRef<HTMLVideoElement>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [light, setLight] = useState<number | null>(null);
  useEffect(() => {
    let stream: MediaStream | null = null;
    let gone = false;
    const open = async () => {
      if (!isSecureContext || !navigator.mediaDevices) return setFailure("insecure");
      try {
        stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, facingMode: "user" } });
      } catch (error) {
        return setFailure((error as DOMException).name === "NotAllowedError" ? "denied" : "missing");
      }
      if (gone || !video.current) return stop();
      video.current.srcObject = stream;
      await video.current.play();
    };
    const stop = () => {
      for (const track of stream?.getTracks() ?? []) track.stop();
    };
    void open();
    const timer = setInterval(() => video.current?.videoWidth && setLight(brightness(video.current)), LOOK_MS);
    return () => {
      gone = true;
      clearInterval(timer);
      stop();
    };
  }, []);

  const take = () => {
    const from = video.current;
    if (!from?.videoWidth) return;
    const canvas = document.createElement("canvas");
    canvas.width = from.videoWidth;
    canvas.height = from.videoHeight;
    canvas.getContext("2d")?.drawImage(from, 0, 0);
    canvas.toBlob((blob) => blob && onPicture(new File([blob], "camera.jpg", { type: "image/jpeg" })), "image/jpeg", 0.95);
  };
  if (failure)
    return (
      <div className="stack">
        <p className="problem">
          {failure === "insecure" && t`Browsers give the camera to pages on this computer or over HTTPS only.`}
          {failure === "denied" && t`The browser was not allowed to use the camera.`}
          {failure === "missing" && t`No camera can be used. Choose a file instead.`}
        </p>
        <div>
          <button type="button" onClick={onClose}>{t`Choose a file`}</button>
        </div>
      </div>
    );
  return (
    <div className="stack">
      <div className="camera">
        <video ref={video} className="pose" muted playsInline aria-label={t`Picture of the camera`} />
        <svg viewBox="0 0 100 75" aria-hidden="true">
          <ellipse cx="50" cy="35" rx="17" ry="23" />
        </svg>
      </div>
      <p className="quiet" role="status">
        {light === null && t`One moment`}
        {light !== null && light < DARK && t`It is dark: turn towards a window or a lamp.`}
        {light !== null && light > BRIGHT && t`It is too bright: turn away from the light.`}
        {light !== null && light >= DARK && light <= BRIGHT && t`The light is right. Fill the outline, and look into the camera.`}
      </p>
      <div className="row">
        <button type="button" className="primary" disabled={light === null} onClick={take}>{t`Take the picture`}</button>
        <button type="button" onClick={onClose}>{t`Choose a file`}</button>
      </div>
    </div>
  );
}

/** Mean luminance of the middle, where the face is, 0 to 255 (Rec. 709). */
function brightness(video: HTMLVideoElement): number {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) return (DARK + BRIGHT) / 2;
  const { videoWidth: width, videoHeight: height } = video;
  context.drawImage(video, width / 3, height / 6, width / 3, (2 * height) / 3, 0, 0, SIDE, SIDE);
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  let sum = 0;
  for (let at = 0; at < data.length; at += 4)
    sum += 0.2126 * (data[at] ?? 0) + 0.7152 * (data[at + 1] ?? 0) + 0.0722 * (data[at + 2] ?? 0);
  return sum / (data.length / 4);
}
