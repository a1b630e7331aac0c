/** The microphone as frames of 20 ms, 16-bit PCM at 16 kHz, with the browser's own echo cancelling. */

import workletUrl from "./capture.worklet.ts?worker&url";
import { loudness } from "./loudspeaker";

/** Why there is no microphone. `insecure`: browsers give it to pages on localhost or over HTTPS only. */
export type Refusal = "insecure" | "denied" | "missing" | "busy";

export class NoMicrophone extends Error {
  constructor(readonly refusal: Refusal) {
    super(refusal);
  }
}

const REFUSALS: Record<string, Refusal> = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "missing",
  OverconstrainedError: "missing",
};

export class Microphone {
  /** Loudness of the last frame, 0 to 1 on a scale of 50 dB. */
  level = 0;

  private constructor(
    private readonly context: AudioContext,
    private readonly stream: MediaStream,
    private readonly node: AudioWorkletNode,
    readonly track: MediaStreamTrack,
  ) {}

  /** Opens a device, "" for the browser's choice; `ended` tells that it was unplugged. Throws NoMicrophone. */
  static async open(deviceId: string, onFrame: (frame: Int16Array) => void, ended: () => void): Promise<Microphone> {
    if (!isSecureContext || !navigator.mediaDevices) throw new NoMicrophone("insecure");
    let stream: MediaStream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        audio: {
          echoCancellation: true,
          noiseSuppression: true,
          autoGainControl: true,
          channelCount: 1,
          ...(deviceId && { deviceId: { exact: deviceId } }),
        },
      });
    } catch (error) {
      throw new NoMicrophone(REFUSALS[(error as DOMException).name] ?? "busy");
    }
    const context = new AudioContext({ latencyHint: "interactive" });
    try {
      await context.audioWorklet.addModule(workletUrl);
      const node = new AudioWorkletNode(context, "capture", {
        numberOfOutputs: 0,
        channelCount: 1,
        channelCountMode: "explicit",
      });
      const [track] = stream.getAudioTracks();
      if (!track) throw new NoMicrophone("missing");
      const microphone = new Microphone(context, stream, node, track);
      node.port.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
        const frame = new Int16Array(data);
        microphone.level = levelOf(frame);
        onFrame(frame);
      };
      context.createMediaStreamSource(stream).connect(node);
      track.addEventListener("ended", ended);
      await context.resume();
      return microphone;
    } catch (error) {
      for (const track of stream.getTracks()) track.stop();
      void context.close();
      throw error;
    }
  }

  close(): void {
    this.node.port.onmessage = null;
    for (const track of this.stream.getTracks()) track.stop();
    void this.context.close();
  }
}

function levelOf(frame: Int16Array): number {
  let sum = 0;
  for (const sample of frame) sum += sample * sample;
  return loudness(Math.sqrt(sum / frame.length) / 32768);
}
