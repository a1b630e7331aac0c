"""Runs a speech engine as a separate program: a request in, JSON lines out; used by espeak and flite."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from avatar.encode.atomic import write_error
from avatar.errors import AvatarError, Unavailable
from avatar.speech.wordtimes import Events, WordEvent

START_TIMEOUT_S = 30.0

Refuse = Callable[[dict[str, Any], dict[str, Any]], AvatarError | None]
"""Returns the error for `{"error": code, ...}` of a request, where the engine has one of its own."""


@dataclass(frozen=True, slots=True)
class Engine:
    """`name` for people, `code` of its errors (`speech.<code>_failed`), the program, and its own refusals."""

    name: str
    code: str
    program: Path
    refuse: Refuse

    @property
    def damaged(self) -> str:
        return f"speech.{self.code}_failed"


def read_events(engine: Engine, request: dict[str, Any], work_s: float) -> Events:
    """Returns the events of a spoken request whose first piece is the lead-in. Raises as `engine_lines`."""
    rate_hz = samples = 0
    exact = True
    words: list[WordEvent] = []
    phonemes: list[tuple[str, int]] = []
    piece_ends: list[int] = []
    # Closed at once when somebody interrupts: the child must not go on writing.
    with closing(engine_lines(engine, request, work_s)) as lines:
        for line in lines:
            match line:
                case {"p": [str(name), int(sample)]}:
                    phonemes.append((sys.intern(name), sample))
                case {"w": [int(piece), int(position), int(length), int(sample)]}:
                    words.append(WordEvent(piece - 1, position, length, sample))
                case {"e": [int(_), int(sample)]}:
                    piece_ends.append(sample)
                case {"rate": int(rate_hz)}:
                    pass
                case {"exact": bool(exact)}:
                    pass
                case {"done": int(samples)}:
                    pass
    if not samples:
        raise Unavailable(
            engine.damaged, f"{engine.name} stopped before it had spoken the script.", "Try again."
        )
    return Events(rate_hz, samples, tuple(words), tuple(phonemes), tuple(piece_ends), exact)


def engine_lines(engine: Engine, request: dict[str, Any], work_s: float) -> Generator[dict[str, Any]]:
    """Gives the child a request and yields the lines it prints; it never outlives this generator.

    work_s: seconds the work may take on top of the start. Raises what the engine refuses with; Unavailable
    `speech.<engine>_failed`, `speech.timeout`; and, when the sound cannot be written, `render.disk_full` and
    `render.write_failed`.
    """
    timeout_s = START_TIMEOUT_S + work_s
    timed_out = threading.Event()
    # By path and isolated: the library gets a process that imports nothing of this project.
    command = [sys.executable, "-I", "-S", str(engine.program)]
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)

        def stop() -> None:
            timed_out.set()
            child.kill()

        watchdog = threading.Timer(timeout_s, stop)
        watchdog.daemon = True
        watchdog.start()
        try:
            if child.stdin is None or child.stdout is None:
                raise RuntimeError("the child was started without pipes")
            _give(child.stdin, json.dumps(request).encode())
            yield from _lines(engine, child.stdout, request)
            child.wait()
        finally:
            watchdog.cancel()
            watchdog.join()  # whoever forks next wants to be alone
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()
        if timed_out.is_set():
            raise Unavailable(
                "speech.timeout",
                f"{engine.name} did not finish within {timeout_s:.0f} s.",
                "shorten the scene",
            )
        if child.returncode != 0:
            errors.seek(0)
            message = f"{engine.name} ended with status {child.returncode}: {last_words(errors.read())}."
            raise Unavailable(engine.damaged, message, "Try again.")


def _give(stdin: IO[bytes], data: bytes) -> None:
    try:
        stdin.write(data)
        stdin.close()
    except BrokenPipeError:
        # The child died early; its status and message say why.
        return


def _lines(engine: Engine, stdout: IO[bytes], request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    unexpected = Unavailable(engine.damaged, f"{engine.name} printed something unexpected.", "Try again.")
    for line in stdout:
        try:
            content = json.loads(line)
        except ValueError as error:
            raise unexpected from error
        if not isinstance(content, dict):
            raise unexpected
        if content.get("error") == "disk":
            raise write_error(OSError(content["errno"], content["reason"]), Path(request["wav"]))
        if "error" in content:
            failed = Unavailable(engine.damaged, f"{engine.name} failed ({content['error']}).", "Try again.")
            raise engine.refuse(content, request) or failed
        yield content


def last_words(output: bytes) -> str:
    """Returns the last line that a program has printed, short and printable."""
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return "".join(char for char in (lines[-1] if lines else "no message") if char.isprintable())[-200:]
