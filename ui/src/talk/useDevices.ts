/** The microphones and loudspeakers of this computer; browsers name them once the microphone was allowed. */
import { useEffect, useState } from "react";

export interface Device {
  id: string;
  name: string;
}

export function useDevices(isAllowed: boolean): { microphones: Device[]; loudspeakers: Device[] } {
  const [devices, setDevices] = useState<MediaDeviceInfo[]>([]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: with the permission the names come
  useEffect(() => {
    const media = navigator.mediaDevices;
    if (!media) return;
    const read = () => void media.enumerateDevices().then(setDevices, () => setDevices([]));
    read();
    media.addEventListener("devicechange", read);
    return () => media.removeEventListener("devicechange", read);
  }, [isAllowed]);
  const of = (kind: MediaDeviceKind) =>
    devices
      .filter((one) => one.kind === kind && one.deviceId)
      .map((one) => ({ id: one.deviceId, name: one.label || one.deviceId }));
  return { microphones: of("audioinput"), loudspeakers: of("audiooutput") };
}
