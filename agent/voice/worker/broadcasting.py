"""Keeps a connection to the target of a broadcast: starts the program that encodes, feeds it, watches it.

A target that is away or takes nothing is tried again, and what came meanwhile is dropped.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from agent.voice.schemas import OUTPUT_HZ, BroadcastState
from agent.voice.worker import encoding
from agent.voice.worker.encoding import END, HEAD, HUSH, PICTURE, SOUND
from agent.voice.worker.live_face import Picture
from farm.local.commands import worker_environment
from farm.local.process import start_worker, terminate
from farm.worker_output import LogTail, collect
from soundstage.backoff import Backoff
from soundstage.tasks import cancel_all
from soundstage.telemetry import get_logger

OPEN_TIMEOUT_S = 20.0
PROGRESS_TIMEOUT_S = 10.0
"""A program that has written nothing to its target for so long is ended."""
END_S = 3.0
MAX_WAITING_BYTES = 8 << 20
"""What the program has not read yet: beyond it pictures and sound are dropped."""
RETRY = Backoff(first_s=1.0, longest_s=15.0)
STEADY_S = 60.0
PASSED = ("PYTHONPATH", "PYTHONHOME")
Note = Callable[[BroadcastState, str], Awaitable[None]]
log = get_logger(__name__)


class Broadcaster:
    """Sends to `url` until `close`. `note` gets each change of the connection."""

    def __init__(self, url: str, note: Note) -> None:
        self._url = url
        self._note = note
        self._size: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()
        self._process: asyncio.subprocess.Process | None = None
        self._closing = False
        self._running = asyncio.create_task(self._run())

    def show(self, picture: Picture) -> None:
        """Takes a picture; drops it while the program is behind."""
        if not self._size.done():
            self._size.set_result((picture.width, picture.height))
        self._write(PICTURE, picture.at_s, picture.data)

    def play(self, pcm: bytes, at_s: float) -> None:
        """Takes a piece of sound, 16-bit mono, that is heard at `at_s`, monotonic time."""
        self._write(SOUND, at_s, pcm)

    def hush(self) -> None:
        """Drops sound that is still to come."""
        self._write(HUSH, time.monotonic(), b"")

    async def close(self) -> None:
        """Ends the connection; what was encoded is sent, if the target takes it at once."""
        self._closing = True
        self._write(END, 0.0, b"")
        if self._process is not None:
            await asyncio.wait([self._running], timeout=END_S)
        await cancel_all([self._running])

    def _write(self, kind: bytes, at_s: float, content: bytes | memoryview) -> None:
        stdin = None if self._process is None else self._process.stdin
        if stdin is None or stdin.is_closing():
            return
        if content and stdin.transport.get_write_buffer_size() > MAX_WAITING_BYTES:
            return
        with suppress(ConnectionError, RuntimeError):
            stdin.writelines([HEAD.pack(kind, at_s, len(content)), content])

    async def _run(self) -> None:
        failures = 0
        width, height = await self._size
        while True:
            await self._note("connecting", "")
            began_s = time.monotonic()
            reason = await self._send(width, height)
            if self._closing:
                return
            failures = 1 if time.monotonic() - began_s > STEADY_S else failures + 1
            log.warning("voice.broadcast_failed", reason=reason)
            await self._note("failed", f"The target does not take the broadcast: {reason}.")
            await asyncio.sleep(RETRY.delay_s(failures))

    async def _send(self, width: int, height: int) -> str:
        """Runs the program until it ends; returns why."""
        environment = worker_environment(Path(tempfile.gettempdir()))
        environment |= {name: os.environ[name] for name in PASSED if name in os.environ}
        started = await start_worker(
            [sys.executable, "-P", encoding.__file__], environment, 0, stdin=asyncio.subprocess.PIPE
        )
        process, tail = started.process, LogTail()
        reading = asyncio.create_task(collect(process.stderr, tail)) if process.stderr else None
        try:
            if process.stdin is None or process.stdout is None:
                return "its program has no pipes"
            settings = {"url": self._url, "width": width, "height": height, "sound_hz": OUTPUT_HZ}
            process.stdin.write(json.dumps(settings).encode() + b"\n")
            self._process = process
            return await self._watch(process.stdout)
        finally:
            self._process = None
            await terminate(process, END_S)
            if reading is not None:
                reading.cancel()

    async def _watch(self, lines: asyncio.StreamReader) -> str:
        """Reads what the program tells until it ends or makes no progress; returns why."""
        patience_s = OPEN_TIMEOUT_S
        while True:
            try:
                async with asyncio.timeout(patience_s):
                    line = (await lines.readline()).decode(errors="replace").strip()
            except TimeoutError:
                return f"it has taken nothing for {patience_s:.0f} s"
            if not line:
                return "its program has ended"
            word, _, reason = line.partition(" ")
            if word == "failed":
                return reason
            if word == "live":
                await self._note("live", "")
            patience_s = PROGRESS_TIMEOUT_S
