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
"""So often a program that ends by itself is started again in a session."""
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
        self.sink: Sink | None = None
        """Takes the pictures; None while nobody is there who could see them."""

    async def change(self, spec: dict[str, Any] | None) -> None:
        """Draws this presenter from now on; None ends the video."""
        await self.close()
        if spec is not None:
            self._running = asyncio.create_task(self._run(RenderSpec.model_validate(spec)))

    def prepare(self, sound: Sound) -> None:
        """A sentence will be said."""
        if self._face is not None:
            self._face.prepare(sound)

    def begin(self) -> None:
        """The next sentence begins to sound."""
        if self._face is not None:
            self._face.begin(time.monotonic() + self._delay_s)

    def hush(self) -> None:
        """The sound has stopped."""
        if self._face is not None:
            self._face.hush()

    def show_state(self, state: VoiceState) -> None:
        if self._face is not None:
            self._face.show_state(state)

    async def close(self) -> None:
        if self._running is not None:
            await cancel_all([self._running])
        self._running = self._face = None

    async def _run(self, spec: RenderSpec) -> None:
        """Draws until cancelled; a program that ends is started again a few times."""
        for attempt in range(RESTARTS + 1):
            self._face = LiveFace(self._command, spec, self._fetch)
            try:
                await self._show(self._face)
            except SoundstageError as error:
                log.warning("voice.face_failed", session=self._link.session_id, code=error.code)
                if attempt == RESTARTS or error.code != ENDED:
                    await self._report(error)
                    break
            except Exception:
                log.exception("voice.face_failed", session=self._link.session_id)
                await self._report(
                    Unavailable("voice.face_failed", "The presenter cannot be shown.", "The sound goes on.")
                )
                break
            await asyncio.sleep(PAUSE.delay_s(attempt + 1))
        self._face = None

    async def _show(self, face: LiveFace) -> None:
        async for picture in face.pictures():
            if self.sink is not None:
                await self.sink(picture)

    async def _report(self, error: SoundstageError) -> None:
        await self._link.send(
            {"type": "face_failed", "code": error.code, "message": error.message, "hint": error.hint}
        )
