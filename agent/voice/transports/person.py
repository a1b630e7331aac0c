"""The port to a person of a voice session: their own WebSocket, or the data channel of the voice worker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import WebSocket, WebSocketDisconnect

from agent.voice.schemas import BroadcastState


class PersonLink(Protocol):
    """Reaches a person who is connected."""

    async def send(self, message: dict[str, Any]) -> None:
        """Sends an event; does nothing when the person has gone."""

    async def send_sound(self, sound: bytes) -> None:
        """Sends sound of the agent, where it travels on this link."""

    async def close(self, code: int) -> None:
        """Closes the link."""


class SocketPerson:
    """A person whose sound and events travel on one WebSocket."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def send(self, message: dict[str, Any]) -> None:
        # Starlette raises RuntimeError for a socket that was closed meanwhile.
        with suppress(WebSocketDisconnect, RuntimeError):
            await self._socket.send_json(message)

    async def send_sound(self, sound: bytes) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):
            await self._socket.send_bytes(sound)

    async def close(self, code: int) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):
            await self._socket.close(code)


class RelayedPerson:
    """A person whose sound goes between them and the worker; events take the worker's data channel."""

    def __init__(self, instruct: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        self._instruct = instruct

    async def send(self, message: dict[str, Any]) -> None:
        await self._instruct({"type": "show", "message": message})

    async def send_sound(self, sound: bytes) -> None:
        """Does nothing: the worker's transport carries the sound."""

    async def close(self, code: int) -> None:
        # A data channel ends without a code.
        await self._instruct({"type": "show", "message": {"type": "closed", "code": code}})
        await self._instruct({"type": "hang_up", "code": code})


@dataclass
class BroadcastPerson:
    """Many who watch a broadcast, and say nothing. `error` is the last one that a person would be shown."""

    target: str
    state: BroadcastState = "waiting"
    error: str = ""

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "error":
            self.error = message["message"]

    async def send_sound(self, sound: bytes) -> None:
        """Does nothing: the worker's transport carries the sound."""

    async def close(self, code: int) -> None:
        """Does nothing: the broadcast ends with its worker's socket."""
