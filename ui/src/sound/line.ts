/** How sound and messages travel between a call and the server: over one WebSocket, over WebRTC, or in a room. */
import { t } from "@lingui/core/macro";
import type { Opened } from "./call";
import type { CallError } from "./view";
import type { PersonMessage, ServerMessage } from "./wire";

/** Longest wait for the addresses of this computer, and for the first connection. */
const GATHERING_MS = 2000;
const CONNECTING_MS = 15_000;
/** A connection that is lost for as long is given up; shorter losses heal by themselves. */
const LOST_MS = 5000;
/** As a WebSocket says that it was lost. */
export const LOST = 1006;

export interface Line {
  readonly state: "connecting" | "open" | "closing" | "closed";
  /** Whether it brings the presenter as a video, where one was asked for. */
  readonly video: boolean;
  send(message: PersonMessage): void;
  /** Sends a frame of the microphone; does nothing where `carry` sends its track. */
  sendSound(frame: Int16Array): void;
  /** Sends what a microphone hears from now on; null: nothing. */
  carry(microphone: MediaStreamTrack | null): void;
  close(): void;
}

/** Who is told of what comes in. */
export interface LineEvents {
  onMessage: (message: ServerMessage) => void;
  /** A piece of 16-bit PCM. */
  onSound: (piece: ArrayBuffer) => void;
  onStream: (stream: MediaStream) => void;
  /** The presenter as a video. */
  onVideo: (stream: MediaStream) => void;
  /** Told once, with a code of a WebSocket, and only after it was open. */
  onClosed: (code: number) => void;
}

/** Opens the line of a session. Throws CallError `page.no_voice` where the server cannot be reached. */
export async function openLine(opened: Opened, events: LineEvents): Promise<Line> {
  const { join, offer, otherwise } = opened;
  try {
    if (join) return await join(opened, events);
    return await (offer ? PeerLine.open(opened, offer, events) : SocketLine.open(opened, events));
  } catch (error) {
    if (!otherwise) throw error;
    return openLine(await otherwise(), events);
  }
}

class SocketLine implements Line {
  readonly video = false;

  private constructor(private readonly socket: WebSocket) {}

  static async open(opened: Opened, events: LineEvents): Promise<Line> {
    const socket = new WebSocket(`${opened.url}?token=${encodeURIComponent(opened.token)}`);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      if (typeof data === "string") events.onMessage(JSON.parse(data) as ServerMessage);
      else events.onSound(data);
    };
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onerror = () => reject(noLine());
    });
    socket.onclose = ({ code }) => events.onClosed(code);
    return new SocketLine(socket);
  }

  get state() {
    return (["connecting", "open", "closing", "closed"] as const)[this.socket.readyState] ?? "closed";
  }

  send(message: PersonMessage): void {
    if (this.state === "open") this.socket.send(JSON.stringify(message));
  }

  sendSound(frame: Int16Array): void {
    if (this.state === "open") this.socket.send(frame as Int16Array<ArrayBuffer>);
  }

  carry(): void {}

  close(): void {
    this.socket.onclose = this.socket.onmessage = null;
    this.socket.close(1000);
  }
}

class PeerLine implements Line {
  readonly video: boolean = true;
  private code = LOST;
  private isClosed = false;

  private constructor(
    private readonly peer: RTCPeerConnection,
    private readonly channel: RTCDataChannel,
    private readonly sender: RTCRtpSender,
    private readonly events: LineEvents,
  ) {}

  static async open({ ice_servers, video }: Opened, offer: (sdp: string) => Promise<string>, events: LineEvents): Promise<Line> {
    const peer = new RTCPeerConnection({ iceServers: ice_servers.map((urls) => ({ urls })) });
    const { sender } = peer.addTransceiver("audio", { direction: "sendrecv" });
    if (video) peer.addTransceiver("video", { direction: "recvonly" });
    const line = new PeerLine(peer, peer.createDataChannel("events"), sender, events);
    try {
      await line.connect(offer);
    } catch (error) {
      line.close();
      throw error;
    }
    return line;
  }

  private async connect(offer: (sdp: string) => Promise<string>): Promise<void> {
    const { peer, channel, events } = this;
    channel.onmessage = ({ data }: MessageEvent<string>) => {
      const message = JSON.parse(data) as ServerMessage;
      if (message.type === "closed") this.code = message.code;
      else events.onMessage(message);
    };
    peer.ontrack = ({ track }) => events[track.kind === "video" ? "onVideo" : "onStream"](new MediaStream([track]));
    await peer.setLocalDescription();
    // The offer goes out once, with all addresses.
    await happens(peer, "icegatheringstatechange", () => peer.iceGatheringState === "complete", GATHERING_MS).catch(
      () => undefined,
    );
    const sdp = await offer(peer.localDescription?.sdp ?? "");
    await peer.setRemoteDescription({ type: "answer", sdp });
    await happens(channel, "open", () => channel.readyState === "open", CONNECTING_MS);
    channel.onclose = () => this.lost();
    peer.onconnectionstatechange = () => {
      if (peer.connectionState === "failed") this.lost();
      if (peer.connectionState === "disconnected")
        setTimeout(() => peer.connectionState === "disconnected" && this.lost(), LOST_MS);
    };
  }

  get state() {
    return this.isClosed ? "closed" : this.channel.readyState;
  }

  send(message: PersonMessage): void {
    if (this.state === "open") this.channel.send(JSON.stringify(message));
  }

  sendSound(): void {}

  carry(microphone: MediaStreamTrack | null): void {
    if (!this.isClosed) void this.sender.replaceTrack(microphone).catch(() => undefined);
  }

  close(): void {
    this.isClosed = true;
    this.peer.close();
  }

  private lost(): void {
    if (this.isClosed) return;
    this.close();
    this.events.onClosed(this.code);
  }
}

/** Waits for an event after which `isSo`; throws CallError after `limitMs`. */
function happens(target: EventTarget, event: string, isSo: () => boolean, limitMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => end(() => reject(noLine())), limitMs);
    const look = () => isSo() && end(resolve);
    const end = (then: () => void) => {
      clearTimeout(timer);
      target.removeEventListener(event, look);
      then();
    };
    target.addEventListener(event, look);
    look();
  });
}

export const noLine = (): CallError => ({
  code: "page.no_voice",
  message: t`The sound cannot reach the server.`,
  hint: t`Start again; what was said is still in the conversation.`,
});
