"""The process that draws a presenter live (`avatar live`), its pictures, and what it is told.

Drawing needs the worker's environment, sending this one; pictures cross in shared memory.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from avatar.spec import Failed, RenderSpec
from avatar.spec.live import (
    SLOTS,
    FaceState,
    LiveBegin,
    LiveFrame,
    LiveHush,
    LiveOrder,
    LiveSentence,
    LiveState,
    slot_bytes,
)
from pydantic import ValidationError

from agent.voice.schemas import VoiceState
from agent.voice.worker.link import Sound
from farm.local.commands import SPEC_FILE, worker_environment
from farm.local.process import StartedWorker, start_worker, terminate
from farm.worker_output import CHUNK_BYTES, LogTail, collect
from soundstage.errors import Unavailable, Upstream
from soundstage.telemetry import get_logger
from studio.personas.live_face import hashes_in

END_S = 2.0
OPEN_TIMEOUT_S = 90.0
"""A photo is measured first."""
DRAW_TIMEOUT_S = 15.0
PREFIX = "voice-face-"
"""Of temporary files, before the process id of their worker."""
ENDED = "voice.face_ended"
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108
Fetch = Callable[[str], Awaitable[bytes]]
"""Returns the content of a blob by its hash."""


@dataclass(frozen=True, slots=True)
class Picture:
    """I420, BT.709; `data` is valid until three more pictures have come. `at_s`: monotonic time."""

    data: memoryview
    width: int
    height: int
    at_s: float


def remove_left_over(*folders: Path) -> None:
    """Removes what voice workers that were killed have left: photos of people, and shared memory."""
    for path in (path for folder in folders for path in folder.glob(f"{PREFIX}*")):
        owner = path.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdecimal() and not Path(f"/proc/{owner}").exists():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _prefix(owner: int) -> str:
    return f"{PREFIX}{owner}-"


class LiveFace:
    """Draws the presenter of `spec` for as long as somebody reads `pictures`."""

    def __init__(self, command: Sequence[str], spec: RenderSpec, fetch: Fetch) -> None:
        self._command = tuple(command)
        self._spec = spec
        self._fetch = fetch
        self._started: StartedWorker | None = None
        self._state: VoiceState = "listening"
        self.dropped = 0
        """Pictures that were left out so far, because they could not be drawn or sent in time."""

    async def pictures(self) -> AsyncIterator[Picture]:
        """Yields pictures as they are drawn. Raises Upstream with what the program says, and Unavailable
        `voice.face_ended` and `voice.no_face_program`.
        """
        width, height = self._spec.canvas.width, self._spec.canvas.height
        step, size = slot_bytes(width, height), width * height * 3 // 2
        with (
            tempfile.TemporaryDirectory(prefix=_prefix(os.getpid())) as folder,
            _memory(SLOTS * step) as memory,
        ):
            slots = [mmap.mmap(memory.fileno(), step, offset=slot * step) for slot in range(SLOTS)]
            await self._write_inputs(Path(folder))
            failure = None
            log = LogTail()
            process = (await self._start(Path(folder), memory.name)).process
            reading = asyncio.create_task(collect(process.stderr, log)) if process.stderr else None
            try:
                if process.stdout is None:
                    return
                self._send(LiveState(state=_shown(self._state)))
                async for lines in _waiting_lines(process.stdout):
                    frames = [frame for frame in map(_frame_of, lines) if frame is not None]
                    failure = next(filter(None, map(_failure_of, lines)), failure)
                    if not frames:
                        continue
                    # On a busy machine the latest one alone: pictures never queue.
                    self.dropped += len(frames) - 1
                    data = memoryview(slots[frames[-1].slot])[:size]
                    yield Picture(data, width, height, frames[-1].at_s)
            finally:
                await self._end()
                if reading is not None:
                    reading.cancel()
        if failure is not None:
            raise Upstream(failure.code, failure.message, failure.hint)
        get_logger(__name__).warning("voice.face_ended", log=log.text()[-2000:])
        raise Unavailable(
            ENDED, "The program that draws the presenter has ended.", "The log of the voice worker says why."
        )

    def prepare(self, number: int, sound: Sound) -> None:
        """Sends a sentence that will be said, so that its motion is there when it begins."""
        self._send(
            LiveSentence(
                id=number,
                wav=sound.wav,
                duration_ms=max(1, sound.sheet["duration_ms"]),
                words=sound.sheet["words"],
                phones=sound.phones,
                emotion=sound.sheet.get("emotion", ""),
            )
        )

    def begin(self, number: int, at_s: float) -> None:
        """The sentence begins to sound at `at_s`, monotonic time."""
        self._send(LiveBegin(id=number, at_s=at_s))

    def hush(self) -> None:
        """The sound has stopped."""
        self._send(LiveHush())

    def show_state(self, state: VoiceState) -> None:
        self._state = state
        self._send(LiveState(state=_shown(state)))

    async def _start(self, folder: Path, memory: str) -> StartedWorker:
        if shutil.which(self._command[0]) is None:
            raise _not_here(self._command[0])
        scene = self._spec.scenes[0].id
        arguments = ["live", SPEC_FILE, scene, "--memory", memory, "--blobs", str(folder), "--confined"]
        self._started = await start_worker(
            [*self._command, *arguments, "--json"],
            worker_environment(folder),
            0,
            folder,
            stdin=asyncio.subprocess.PIPE,
        )
        return self._started

    async def _write_inputs(self, folder: Path) -> None:
        """Writes the spec, and the files that it names by hash."""
        (folder / SPEC_FILE).write_text(self._spec.model_dump_json(), encoding="utf-8")
        for sha256 in hashes_in(self._spec):
            digest = sha256.removeprefix("sha256:")
            path = folder / digest[:2] / digest
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(await self._fetch(sha256))

    def _send(self, order: LiveOrder) -> None:
        started = self._started
        if started is None or started.process.returncode is not None or started.process.stdin is None:
            return
        with suppress(ConnectionError, RuntimeError):
            started.process.stdin.write(order.model_dump_json().encode() + b"\n")

    async def _end(self) -> None:
        started, self._started = self._started, None
        if started is not None:
            await terminate(started.process, END_S)


async def _waiting_lines(stream: asyncio.StreamReader) -> AsyncIterator[list[bytes]]:
    """Yields the lines that have come since the last ones were taken."""
    rest = b""
    patience_s = OPEN_TIMEOUT_S
    while chunk := await _read(stream, patience_s):
        patience_s = DRAW_TIMEOUT_S
        *lines, rest = (rest + chunk).split(b"\n")
        yield lines
        # A long line that is none of ours cannot fill our memory.
        rest = rest[-CHUNK_BYTES:]


async def _read(stream: asyncio.StreamReader, within_s: float) -> bytes:
    """Raises Unavailable `voice.face_ended` when nothing comes in time."""
    try:
        async with asyncio.timeout(within_s):
            return await stream.read(CHUNK_BYTES)
    except TimeoutError as error:
        raise Unavailable(
            ENDED,
            f"The program that draws the presenter has drawn nothing for {within_s:.0f} s.",
            "The machine of the voice worker may be too busy.",
        ) from error


@contextmanager
def _memory(size: int) -> Iterator[IO[bytes]]:
    """Opens a file in memory for pictures; it is gone with the context."""
    folder = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with tempfile.NamedTemporaryFile(prefix=_prefix(os.getpid()), dir=folder) as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            raise Upstream(
                "voice.no_memory",
                f"There is no shared memory for the pictures of the presenter: {error.strerror}.",
                f"Give the voice worker more of /dev/shm: {size >> 20} MiB for each presenter.",
            ) from error
        yield file


def _frame_of(line: bytes) -> LiveFrame | None:
    try:
        return LiveFrame.model_validate_json(line)
    except ValidationError:
        return None


def _failure_of(line: bytes) -> Failed | None:
    try:
        return Failed.model_validate_json(line)
    except ValidationError:
        return None


def _shown(state: VoiceState) -> FaceState:
    return "idle" if state == "waiting" else state


def _not_here(program: str) -> Unavailable:
    return Unavailable(
        "voice.no_face_program",
        f"The presenter cannot be drawn: {program} is not on the machine of the voice worker.",
        "Install the worker there with `make setup`, or name it in worker.command.",
    )
