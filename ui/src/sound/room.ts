/** A call in a room of a LiveKit server. Loaded only for sessions that have one: its SDK is large. */
import {
  AudioPresets,
  DisconnectReason,
  type LocalTrackPublication,
  type RemoteTrack,
  Room,
  RoomEvent,
  Track,
} from "livekit-client";
import type { Opened } from "./call";
import { type Line, type LineEvents, LOST, noLine } from "./line";
import { ENDED, type PersonMessage, type ServerMessage, TAKEN_OVER } from "./wire";

/** Codes of a WebSocket for ends after which nobody comes back. */
const CODES: Partial<Record<DisconnectReason, number>> = {
  [DisconnectReason.ROOM_DELETED]: ENDED,
  [DisconnectReason.PARTICIPANT_REMOVED]: ENDED,
  [DisconnectReason.DUPLICATE_IDENTITY]: TAKEN_OVER,
};

export class RoomLine implements Line {
  readonly video = true;
  private published: LocalTrackPublication | undefined;
  /** Tracks are published one after the other. */
  private publishing = Promise.resolve();
  private code = LOST;
  private isOpen = true;

  private constructor(private readonly room: Room) {}

  static async open(opened: Opened, events: LineEvents): Promise<Line> {
    const room = new Room();
    const line = new RoomLine(room);
    room.on(RoomEvent.TrackSubscribed, (track: RemoteTrack) => {
      const stream = new MediaStream([track.mediaStreamTrack]);
      if (track.kind === Track.Kind.Video) events.onVideo(stream);
      else events.onStream(stream);
    });
    room.on(RoomEvent.DataReceived, (payload: Uint8Array) => {
      const message = JSON.parse(new TextDecoder().decode(payload)) as ServerMessage;
      if (message.type === "closed") line.code = message.code;
      else events.onMessage(message);
    });
    try {
      await room.connect(opened.url, opened.token);
    } catch {
      void room.disconnect();
      throw noLine();
    }
    // The SDK comes back by itself from short losses; this is its last word.
    room.on(RoomEvent.Disconnected, (reason) => {
      if (!line.isOpen) return;
      line.isOpen = false;
      events.onClosed((reason !== undefined && CODES[reason]) || line.code);
    });
    return line;
  }

  get state() {
    return this.isOpen ? "open" : "closed";
  }

  send(message: PersonMessage): void {
    if (this.isOpen)
      void this.room.localParticipant
        .publishData(new TextEncoder().encode(JSON.stringify(message)), { reliable: true })
        .catch(() => undefined);
  }

  sendSound(): void {}

  carry(microphone: MediaStreamTrack | null): void {
    this.publishing = this.publishing.then(() => this.publish(microphone)).catch(() => undefined);
  }

  private async publish(microphone: MediaStreamTrack | null): Promise<void> {
    const { localParticipant } = this.room;
    const before = this.published?.track;
    if (before && microphone) {
      // The worker hears one track of a person: another microphone goes on in it.
      await before.replaceTrack(microphone, { userProvidedTrack: true });
      return;
    }
    this.published = undefined;
    // The microphone is the call's: it stops its track.
    if (before) await localParticipant.unpublishTrack(before, false);
    // Words whose beginnings are cut off or that are too coarse are not recognised.
    if (microphone && this.isOpen)
      this.published = await localParticipant.publishTrack(microphone, {
        source: Track.Source.Microphone,
        dtx: false,
        audioPreset: AudioPresets.music,
      });
  }

  close(): void {
    this.isOpen = false;
    void this.room.disconnect(false);
  }
}
