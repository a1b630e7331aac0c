"""The presenter of a session as a video track: draws, and gives each picture to the transport.

The pipeline tells it what is said and when it sounds; `relayed` where the pictures go.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from avatar.spec import RenderSpec

from agent.voice.schemas import VoiceState
from agent.voice.worker.link import SessionLink, Sound
from agent.voice.worker.live_face import ENDED, Fetch, LiveFace, Picture
from soundstage.backoff import Backoff
from soundstage.errors import SoundstageError, Unavailable
from soundstage.tasks import cancel_all
from soundstage.telemetry import get_logger

RESTARTS = 3
"""So often in a row a program that ends by itself is started again."""
STEADY_S = 300.0
"""After so long without an end the count begins anew."""
PAUSE = Backoff(first_s=0.5, longest_s=5.0)
Sink = Callable[[Picture], Awaitable[None]]
log = get_logger(__name__)


class FaceVideo:
    """Shows the presenter that the server names, or none. `delay_s`: from the moment at which the pipeline
    has passed on a sound to the moment whose picture is sent with it.
    """

    def __init__(self, link: SessionLink, command: Sequence[str], fetch: Fetch, delay_s: float) -> None:
        self._link = link
        self._command = tuple(command)
        self._fetch = fetch
        self._delay_s = delay_s
        self._face: LiveFace | None = None
        self._running: asyncio.Task[None] | None = None
        self._changing: asyncio.Task[None] | None = None
        self._sentences = 0
        self.sink: Sink | None = None
        """Takes the pictures; None while nobody is there who could see them."""

    def change(self, spec: dict[str, Any] | None) -> None:
        """Draws this presenter from now on, as soon as the one before has ended; None ends the video."""
        self._changing = asyncio.create_task(self._change(self._changing, spec))

    async def _change(self, before: asyncio.Task[None] | None, spec: dict[str, Any] | None) -> None:
        if before is not None:
            await before
        await self._end()
        if spec is not None:
            self._running = asyncio.create_task(self._run(RenderSpec.model_validate(spec)))

    def prepare(self, sound: Sound) -> int:
        """A sentence will be said; returns its number, for `begin`."""
        self._sentences += 1
        if self._face is not None:
            self._face.prepare(self._sentences, sound)
        return self._sentences

    def begin(self, number: int) -> None:
        """The sentence with that number begins to sound."""
        if self._face is not None:
            self._face.begin(number, time.monotonic() + self._delay_s)

    def hush(self) -> None:
        """The sound has stopped."""
        if self._face is not None:
            self._face.hush()

    def show_state(self, state: VoiceState) -> None:
        if self._face is not None:
            self._face.show_state(state)

    async def close(self) -> None:
        """Ends the video."""
        if self._changing is not None:
            await asyncio.wait([self._changing])
        await self._end()

    async def _end(self) -> None:
        if self._running is not None:
            await cancel_all([self._running])
        self._running = self._face = None

    async def _run(self, spec: RenderSpec) -> None:
        """Draws until cancelled; a program that ends is started again a few times."""
        attempt = 0
        while True:
            self._face = LiveFace(self._command, spec, self._fetch)
            began_s = time.monotonic()
            try:
                await self._show(self._face)
            except SoundstageError as error:
                log.warning("voice.face_failed", session=self._link.session_id, code=error.code)
                attempt = 1 if time.monotonic() - began_s > STEADY_S else attempt + 1
                if attempt > RESTARTS or error.code != ENDED:
                    await self._report(error)
                    break
            except Exception:
                log.exception("voice.face_failed", session=self._link.session_id)
                await self._report(
                    Unavailable("voice.face_failed", "The presenter cannot be shown.", "The sound goes on.")
                )
                break
            await asyncio.sleep(PAUSE.delay_s(attempt))
        self._face = None

    async def _show(self, face: LiveFace) -> None:
        async for picture in face.pictures():
            if self.sink is not None:
                await self.sink(picture)

    async def _report(self, error: SoundstageError) -> None:
        await self._link.send(
            {"type": "face_failed", "code": error.code, "message": error.message, "hint": error.hint}
        )
