"""Keeps one warm child process for each Piper voice that speaks; used by `piper`.

Loading a voice takes seconds, so the child speaks passage after passage. It is a program of Piper's own
environment (GPL), which this project neither imports nor ships. It ends by itself: with this process, whose
end closes its input, or when nobody has spoken for a while.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from avatar.errors import Unavailable
from avatar.speech.engine_child import last_words
from avatar.speech.passages import SpokenTimes
from avatar.speech.piper_times import times_of

CHILD = Path(__file__).with_name("piper_child.py")
IDLE_S = 60.0
START_TIMEOUT_S = 60.0
SECONDS_PER_CHARACTER = 0.5
"""A slow computer speaks slower than it is heard."""
MOST_VOICES = 2
"""In memory at once; a third ends the one that was used longest ago."""


class NoWarmVoice(Exception):
    """Piper here is no package that tells the times of its phones: it is run by its command line instead."""


class _Ended(Exception):
    """The child process is gone. Holds the error to report of it."""

    def __init__(self, error: Unavailable) -> None:
        super().__init__(str(error))
        self.error = error


class PiperProcess:
    """One voice, loaded once. Not for several threads at a time."""

    def __init__(self, python: Path, model: Path, card: Path) -> None:
        self._command = [str(python), "-I", str(CHILD), str(model), str(card), str(IDLE_S)]
        # Open as long as the child is: `close` closes it.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._child = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
        )
        self._buffer = b""
        try:
            self._read_line(START_TIMEOUT_S)
        except _Ended as ended:
            raise ended.error from ended

    def speak(self, words: Sequence[str], speed: float, speaker: int | None, wav: Path) -> SpokenTimes | None:
        """Writes the sound of the words and returns when each is said, or None where the voice cannot tell.

        Raises `_Ended` when the child is gone, Unavailable `speech.timeout`.
        """
        request = {"words": list(words), "speed": speed, "speaker": speaker, "wav": str(wav)}
        pipe = self._child.stdin
        if pipe is None:
            raise RuntimeError("the child was started without pipes")
        try:
            pipe.write(json.dumps(request).encode() + b"\n")
            pipe.flush()
        except BrokenPipeError:
            raise self._ended() from None
        characters = sum(map(len, words))
        answer = self._read_line(START_TIMEOUT_S + SECONDS_PER_CHARACTER * characters)
        if answer["chunks"] is None:
            return None
        return times_of(answer["chunks"], answer["readings"], answer["rate"])

    def close(self) -> None:
        """Ends the child process; a second time does nothing."""
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout, self._errors):
            if pipe is not None:
                # What the child did not read is not written any more.
                with suppress(BrokenPipeError):
                    pipe.close()

    def _read_line(self, timeout_s: float) -> dict[str, Any]:
        """Returns the next answer. Raises NoWarmVoice, _Ended, and Unavailable `speech.timeout`."""
        if self._child.stdout is None:
            raise RuntimeError("the child was started without pipes")
        output, deadline = self._child.stdout.fileno(), time.monotonic() + timeout_s
        while b"\n" not in self._buffer:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not select.select([output], [], [], left_s)[0]:
                self.close()
                raise too_slow(timeout_s)
            if not (block := os.read(output, 1 << 16)):
                raise self._ended()
            self._buffer += block
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            self.close()
            raise NoWarmVoice(answer["error"])
        return answer

    def _ended(self) -> _Ended:
        status = self._child.wait()
        self._errors.seek(0)
        errors = self._errors.read()
        self.close()
        return _Ended(piper_error(status, errors))


def speak_warm(
    program: str, model: Path, words: Sequence[str], speed: float, speaker: int | None, wav: Path
) -> SpokenTimes | None:
    """Speaks by the warm process of a voice, which is started where there is none.

    Raises NoWarmVoice, Unavailable `speech.piper_failed`, `speech.timeout`.
    """
    python = python_of(program)
    if python is None:
        raise NoWarmVoice("no_python")
    changed_ns = model.stat().st_mtime_ns
    try:
        return _process(python, model, changed_ns).speak(words, speed, speaker, wav)
    except _Ended:
        # It may have ended because nobody spoke for a while.
        _process.cache_clear()
    except (Unavailable, ValueError):
        _process.cache_clear()
        raise
    try:
        return _process(python, model, changed_ns).speak(words, speed, speaker, wav)
    except _Ended as ended:
        _process.cache_clear()
        raise ended.error from ended


@lru_cache(MOST_VOICES)
def _process(python: Path, model: Path, changed_ns: int) -> PiperProcess:
    """`changed_ns` makes a voice whose file was exchanged another one."""
    return PiperProcess(python, model, model.with_name(f"{model.name}.json"))


def python_of(program: str) -> Path | None:
    """Returns the interpreter beside a `piper` that is a script of Python, None for any other program."""
    path = Path(program).resolve()
    try:
        with path.open("rb") as file:
            first = file.read(200)
    except OSError:
        return None
    if not first.startswith(b"#!") or b"python" not in first:
        return None
    python = path.with_name("python3")
    return python if os.access(python, os.X_OK) else None


def too_slow(timeout_s: float) -> Unavailable:
    return Unavailable(
        "speech.timeout", f"Piper did not finish within {timeout_s:.0f} s.", "Shorten the scene."
    )


def piper_error(status: int, output: bytes) -> Unavailable:
    return Unavailable(
        "speech.piper_failed",
        f"Piper ended with status {status}: {last_words(output)}.",
        "Run it by hand with the same voice; `models verify piper.voice` looks at the file.",
    )
