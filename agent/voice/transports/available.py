"""The transports that this server offers, by its settings; called by `sessions`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agent.voice.schemas import Requestable, TransportName
from agent.voice.transports.livekit_keys import read_keys
from agent.voice.transports.livekit_rooms import LiveKitRooms, RoomEvent, bad_signature, is_installed
from soundstage.errors import Invalid, NotFound, Unavailable
from soundstage.sealing import Sealer
from soundstage.settings.conversation import VoiceSettings


@dataclass
class Transports:
    """WebSocket and WebRTC need nothing besides our server; LiveKit needs its own."""

    settings: VoiceSettings
    sealer: Sealer
    state_dir: Path

    def names(self) -> list[Requestable]:
        """Returns what can be asked for."""
        has_livekit = bool(self.settings.livekit.reached_at) and is_installed()
        return ["websocket", "webrtc", *(["livekit"] if has_livekit else [])]  # type: ignore[list-item]

    def browser_origins(self) -> list[str]:
        """Returns the origins of the LiveKit server, which the page's own policy would not let it reach."""
        if "livekit" not in self.names():
            return []
        url = urlsplit(self.settings.livekit.reached_at)
        secure = "s" if url.scheme in ("wss", "https") else ""
        return [f"{scheme}{secure}://{url.netloc}" for scheme in ("ws", "http")]

    def choose(self, name: Requestable | None, *, video: bool = False) -> Requestable:
        """Returns the transport of a session: where none is named that of the settings, or for a video
        `webrtc` in the place of `websocket`. Raises `voice.no_transport` and `voice.no_video`.
        """
        chosen = name or self.settings.transport
        if video and chosen == "websocket":
            if name is not None:
                raise Invalid(
                    "voice.no_video",
                    "A session on a WebSocket carries no video.",
                    'Ask for the transport `webrtc` or `livekit`, or leave out `"video": true`.',
                )
            chosen = "webrtc"
        if chosen not in self.names():
            raise Invalid(
                "voice.no_transport",
                f"This server does not offer the transport {chosen}.",
                "Set `voice.livekit.serve` or `voice.livekit.url`, or ask for `websocket`.",
            )
        return chosen

    def livekit(self) -> LiveKitRooms:
        """Returns the LiveKit server, with the keys of now. Raises `voice.no_livekit_keys`."""
        found = self._livekit()
        if found is None:
            raise Unavailable(
                "voice.no_livekit_keys",
                "There is no API key for the LiveKit server.",
                "Create one with `soundstage voice keys`, or set `voice.livekit.key_file`.",
            )
        return found

    def verify(self, body: bytes, token: str) -> RoomEvent:
        """Returns what a webhook reports. Raises `voice.bad_signature`, also where there are no keys."""
        found = self._livekit()
        if found is None or not is_installed():
            raise bad_signature()
        return found.verify(body, token)

    def _livekit(self) -> LiveKitRooms | None:
        settings = self.settings.livekit
        keys = read_keys(settings, self.sealer, self.state_dir)
        return None if keys is None else LiveKitRooms(settings.reached_at, settings.called_at, keys)

    def for_broadcast(self, name: str, tenant: str) -> dict[str, Any]:
        """Returns what a worker needs to broadcast to a target. Raises NotFound `voice.no_target`, also for
        one that is not this tenant's.
        """
        voice = self.settings
        own = {name: one for name, one in voice.broadcasts.items() if tenant in one.tenants}
        target = own.get(name)
        if target is None:
            known = ", ".join(sorted(own)) or "none"
            raise NotFound(
                "voice.no_target",
                f"There is no target {name} for broadcasts.",
                f"Add a section `[voice.broadcasts.{name}]` to the settings; there are: {known}.",
            )
        return {"kind": "broadcast", "url": target.address()}

    def for_worker(self, name: TransportName, room: str, person: str) -> dict[str, Any]:
        """Returns what a worker needs to serve a session on this transport."""
        if name == "livekit":
            rooms = self.livekit()
            return {
                "kind": name,
                "url": rooms.url,
                "token": rooms.worker_token(room),
                "room": room,
                "person": person,
            }
        return {"kind": name, "ice_servers": list(self.settings.stun_servers)}
