"""Rooms and tokens of a LiveKit server, and its webhooks; the library is in the extra `voice`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from agent.voice.transports.livekit_keys import LiveKitKeys
from soundstage.errors import Forbidden, Unavailable

if TYPE_CHECKING:
    from livekit.api import LiveKitAPI

WORKER = "agent"
"""The identity of the voice worker in each room."""
WORKER_TOKEN_LIFE = timedelta(minutes=10)
"""To join; LiveKit renews the tokens of who is in a room."""
EMPTY_TIMEOUT_S = 60
TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class RoomEvent:
    """A webhook of LiveKit: something happened in a room of ours."""

    kind: str
    room: str
    identity: str


class LiveKitRooms:
    """A LiveKit server, as far as its API goes. `url` is how participants reach it."""

    def __init__(self, url: str, api_url: str, keys: LiveKitKeys) -> None:
        self.url = url
        self._api_url = api_url
        self._keys = keys

    def person_token(self, room: str, identity: str, life: timedelta) -> str:
        """Returns a token with which a person joins this room, speaks, and hears."""
        return self._token(room, identity, life, can_publish_sources=["microphone"])

    def worker_token(self, room: str) -> str:
        """Returns the token of the voice worker for a room."""
        return self._token(room, WORKER, WORKER_TOKEN_LIFE, agent=True)

    async def create(self, room: str) -> None:
        """Creates a room, or keeps the one that exists. Raises `voice.no_livekit`."""
        from livekit.api import CreateRoomRequest

        async with self._api() as api:
            await api.room.create_room(CreateRoomRequest(name=room, empty_timeout=EMPTY_TIMEOUT_S))

    async def delete(self, room: str) -> None:
        """Ends a room and disconnects everybody in it. Raises `voice.no_livekit`."""
        from livekit.api import DeleteRoomRequest, TwirpError

        async with self._api() as api:
            try:
                await api.room.delete_room(DeleteRoomRequest(room=room))
            except TwirpError as error:
                if error.code != "not_found":
                    raise

    async def participants(self) -> dict[str, int]:
        """Returns the rooms of the server and how many people are in each. Raises `voice.no_livekit`."""
        from livekit.api import ListRoomsRequest

        async with self._api() as api:
            found = await api.room.list_rooms(ListRoomsRequest())
        return {room.name: room.num_participants for room in found.rooms}

    def verify(self, body: bytes, token: str) -> RoomEvent:
        """Returns what a webhook reports. Raises `voice.bad_signature` where LiveKit has not signed it."""
        from livekit.api import TokenVerifier, WebhookReceiver

        try:
            receiver = WebhookReceiver(TokenVerifier(self._keys.api_key, self._keys.secret))
            event = receiver.receive(body.decode(), token)
        except Exception as error:
            # The library raises bare exceptions beside those of PyJWT and protobuf.
            raise bad_signature() from error
        return RoomEvent(event.event, event.room.name, event.participant.identity)

    def _token(self, room: str, identity: str, life: timedelta, **grants: Any) -> str:
        from livekit.api import AccessToken, VideoGrants

        token = AccessToken(self._keys.api_key, self._keys.secret)
        video = VideoGrants(room_join=True, room=room, **grants)
        return token.with_identity(identity).with_ttl(life).with_grants(video).to_jwt()

    @asynccontextmanager
    async def _api(self) -> AsyncIterator[LiveKitAPI]:
        import aiohttp
        from livekit.api import LiveKitAPI, TwirpError

        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        api = LiveKitAPI(
            self._api_url, self._keys.api_key, self._keys.secret, timeout=timeout, failover=False
        )
        try:
            yield api
        except (aiohttp.ClientError, TwirpError, TimeoutError) as error:
            raise Unavailable(
                "voice.no_livekit",
                f"The LiveKit server at {self._api_url} does not answer: {str(error)[:200]}",
                "Start it, or set `voice.livekit.url` and its key; `transport: websocket` works without it.",
                headers={"Retry-After": "5"},
            ) from error
        finally:
            await api.aclose()


def bad_signature() -> Forbidden:
    """Returns the error of a webhook that LiveKit has not signed."""
    return Forbidden(
        "voice.bad_signature",
        "This webhook was not signed with the key of the LiveKit server.",
        "Give LiveKit the key that `soundstage voice keys` shows, for its webhooks too.",
    )


def is_installed() -> bool:
    """Returns whether LiveKit's libraries are installed."""
    return find_spec("livekit") is not None and find_spec("livekit.api") is not None
