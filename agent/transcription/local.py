"""Recognises speech on this machine, in a warm child process: pocketsphinx, or faster-whisper."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import KW_ONLY, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from agent.transcription.recognition import OnPartial, TimedWord, Transcript
from soundstage.errors import Invalid, SoundstageError, Unavailable
from soundstage.tasks import cancel_all

IDLE_S = 300.0
"""A process that was not needed for so long ends, and its memory is free."""
MAX_LINE = 64 << 20
MODEL_FILES = ("model.bin", "config.json", "tokenizer.json")
PACKAGES = {"embedded": "pocketsphinx", "whisper": "faster_whisper"}
EXTRAS = {"embedded": "voice", "whisper": "whisper"}


@dataclass
class LocalRecogniser:
    """At most one process, loaded by the first sound. `model_dir`: of a Whisper model for CTranslate2."""

    engine: str
    model_dir: Path | None
    timeout_s: float
    _: KW_ONLY
    idle_s: float = IDLE_S
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    process: asyncio.subprocess.Process | None = field(default=None, init=False)
    _ending: asyncio.Task[None] | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        if self.engine == "whisper":
            return f"Whisper ({self.model_dir.name if self.model_dir else ''}) on this machine"
        return "pocketsphinx on this machine"

    async def recognise(
        self, pcm: bytes, language: str = "", on_partial: OnPartial | None = None
    ) -> Transcript:
        async with self._lock:
            await self._stay()
            try:
                async with asyncio.timeout(self.timeout_s):
                    answer = await self._ask(pcm, language, on_partial)
            except TimeoutError as error:
                await self._end()
                raise Unavailable(
                    "transcription.timeout",
                    f"The recogniser on this machine took longer than {self.timeout_s:g} s.",
                    "Send a shorter recording, or raise `transcription.timeout_s`.",
                ) from error
            except BaseException:
                # A broken or cancelled request leaves an answer on the way that nobody reads.
                await self._end()
                raise
            self._ending = asyncio.create_task(self._end_later())
        words = tuple(TimedWord(**word) for word in answer["words"])
        return Transcript(answer["text"], words, answer["language"])

    async def close(self) -> None:
        await self._stay()
        await self._end()

    async def _ask(self, pcm: bytes, language: str, on_partial: OnPartial | None) -> dict[str, Any]:
        process = self.process = self.process or await self._start()
        if process.stdin is None:
            raise _failed("it has no standard input")
        head = json.dumps({"bytes": len(pcm), "language": language}).encode() + b"\n"
        try:
            process.stdin.write(head + pcm)
            await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise _failed("its process has ended") from error
        while True:
            answer = await self._read(process)
            if "partial" not in answer:
                return answer
            if on_partial is not None:
                await on_partial(answer["partial"])

    async def _start(self) -> asyncio.subprocess.Process:
        check_installed(self.engine, self.model_dir)
        command = [sys.executable, "-m", "agent.transcription.child", self.engine]
        if self.model_dir is not None and self.engine == "whisper":
            command.append(str(self.model_dir))
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=MAX_LINE,
        )
        self.process = process
        await self._read(process)
        return process

    async def _read(self, process: asyncio.subprocess.Process) -> dict[str, Any]:
        if process.stdout is None or not (line := await process.stdout.readline()):
            raise _failed("its process has ended")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise _failed(answer["error"])
        return answer

    async def _stay(self) -> None:
        ending, self._ending = self._ending, None
        if ending is not None:
            await cancel_all([ending])

    async def _end_later(self) -> None:
        await asyncio.sleep(self.idle_s)
        await self._end()

    async def _end(self) -> None:
        process, self.process = self.process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()


def check_installed(engine: str, model_dir: Path | None) -> None:
    """Raises `transcription.not_installed` and `transcription.no_model`, with what is missing."""
    if find_spec(PACKAGES[engine]) is None:
        raise Unavailable(
            "transcription.not_installed",
            f"The recogniser `{engine}` lacks the package {PACKAGES[engine].replace('_', '-')}.",
            f"Run `uv sync --inexact --extra {EXTRAS[engine]}`, or set `transcription.recogniser`.",
        )
    if engine != "whisper":
        return
    missing = [name for name in MODEL_FILES if model_dir is None or not (model_dir / name).is_file()]
    if missing:
        where = f"{model_dir} lacks {', '.join(missing)}" if model_dir else "no folder is set"
        raise Invalid(
            "transcription.no_model",
            f"There is no Whisper model: {where}.",
            "Set `transcription.model_dir` to a folder with a Whisper model in the format of CTranslate2.",
        )


def _failed(reason: str) -> SoundstageError:
    return Unavailable(
        "transcription.failed",
        f"The recogniser on this machine failed: {reason}.",
        "Try again; if it goes on, look whether its model is whole.",
    )
