"""A person who talks to the agent over a WebSocket; for the tests and the bench of voice."""

from __future__ import annotations

import asyncio
import json
import time
from array import array
from collections.abc import Callable
from typing import Any

from spoken_words import silence, speech
from waiting import eventually_async
from websockets.asyncio.client import ClientConnection

WAIT_S = 60
FRAME = 640
"""Bytes of 20 ms."""
SOFTEST = 300
"""Quieter samples are silence."""


class Person:
    """A person at a page: speaks in real time, and notes what comes, each event with its time `at_s`."""

    def __init__(self, socket: ClientConnection, *, microphone: bool = True) -> None:
        self.socket = socket
        self.events: list[dict[str, Any]] = []
        self._mouth: asyncio.Queue[bytes] = asyncio.Queue()
        self._tasks = [asyncio.create_task(self._listen())]
        if microphone:
            self._tasks.append(asyncio.create_task(self._breathe()))

    async def say(self, text: str, voice: str = "slt") -> tuple[float, float]:
        """Says a sentence; returns when it began and when it was over."""
        return await self.play(speech(text, voice))

    async def play(self, sound: bytes) -> tuple[float, float]:
        """Lets the microphone hear a sound; returns when it began and when it was over."""
        for at in range(0, len(sound), FRAME):
            self._mouth.put_nowait(sound[at : at + FRAME].ljust(FRAME, b"\0"))
        began_s = time.perf_counter()
        await eventually_async(self._mouth.empty, "the end of the sound", pause_s=0.005)
        return began_s, time.perf_counter()

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    async def until(self, check: Callable[[], object], what: str, within_s: float = WAIT_S) -> None:
        await eventually_async(lambda: bool(check()), f"{what} in {self.kinds}", within_s)

    @property
    def state(self) -> str:
        states = self.of("state")
        return str(states[-1]["state"]) if states else ""

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]

    @property
    def summary(self) -> list[str]:
        """Returns what came, in short; pieces of sound that follow each other once."""
        lines = [f"{one['type']} {one.get('text') or one.get('state') or ''}".strip() for one in self.events]
        return [line for at, line in enumerate(lines) if line != "sound" or lines[at - 1] != "sound"]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self) -> None:
        async for message in self.socket:
            if isinstance(message, str):
                self._note(json.loads(message))
            elif max(map(abs, array("h", message)), default=0) > SOFTEST:
                self._note({"type": "sound"})

    def _note(self, event: dict[str, Any]) -> None:
        self.events.append({**event, "at_s": time.perf_counter()})

    async def _breathe(self) -> None:
        """Sends a frame every 20 ms, of speech or of silence."""
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            sound = self._mouth.get_nowait() if not self._mouth.empty() else silence(0.02)
            await self.socket.send(sound)
            due += 0.02
            await asyncio.sleep(max(0.0, due - clock()))
