"""Runs the avatar program in a process group of its own and reads what it says; ends the whole group."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from avatar.work import launch

EndedBy = Literal["itself", "cancel", "time_limit"]

POLL_S = 0.05
DRAIN_S = 2.0
CHUNK_BYTES = 64 * 1024
MAX_LINE_BYTES = 512 * 1024

PASSED = (
    "PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "NVIDIA_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES", "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT",
    "CUDA_MPS_PIPE_DIRECTORY", "SOUNDSTAGE_VRAM_MIB", "AVATAR_MODELS", "AVATAR_PIPER", "AVATAR_INSIGHTFACE",
)  # fmt: skip
"""All that the program sees of our own environment: neither a token nor a key of the node's."""


@dataclass(frozen=True, slots=True)
class ChildEnd:
    """`returncode` is negative for a signal."""

    returncode: int
    ended_by: EndedBy


def run_child(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    time_limit_s: float,
    grace_s: float,
    stop: threading.Event,
    on_line: Callable[[bytes], None],
    on_log: Callable[[bytes], None],
) -> ChildEnd:
    """Until it ends, `stop` is set or time is up. `on_line` and `on_log` are called from other threads."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), *command],
        cwd=folder,
        env={name: os.environ[name] for name in PASSED if name in os.environ}
        | cards_hidden(os.environ)
        | {"TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
        | dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    readers = [
        threading.Thread(target=_read_lines, args=(process.stdout, on_line), daemon=True),
        threading.Thread(target=_read_log, args=(process.stderr, on_log), daemon=True),
    ]
    for reader in readers:
        reader.start()
    try:
        ended_by = _until_end(process, time_limit_s, grace_s, stop)
    finally:
        # Also what the program has left behind: its number is not used again before we have reaped it.
        _signal_group(process, signal.SIGKILL)
        process.wait()
    for reader in readers:
        reader.join(DRAIN_S)
    return ChildEnd(process.returncode, ended_by)


def cards_hidden(ours: Mapping[str, str]) -> dict[str, str]:
    """A task of Nomad that was given no card uses none, though its driver may show it all of the node's."""
    has_cards = any(name in ours for name in ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"))
    return {"CUDA_VISIBLE_DEVICES": ""} if "NOMAD_ALLOC_ID" in ours and not has_cards else {}


def _until_end(
    process: subprocess.Popen[bytes], time_limit_s: float, grace_s: float, stop: threading.Event
) -> EndedBy:
    deadline = time.monotonic() + time_limit_s
    while not _has_ended(process):
        if stop.wait(POLL_S):
            _terminate(process, grace_s)
            return "cancel"
        if time.monotonic() >= deadline:
            _terminate(process, grace_s)
            return "time_limit"
    return "itself"


def _terminate(process: subprocess.Popen[bytes], grace_s: float) -> None:
    _signal_group(process, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while not _has_ended(process) and time.monotonic() < deadline:
        time.sleep(POLL_S)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Without reaping it, so that its number stays the group's until the group is gone."""
    try:
        found = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return found is not None


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def _read_lines(stream: IO[bytes], on_line: Callable[[bytes], None]) -> None:
    for line in read_bounded_lines(stream):
        on_line(line)


def _read_log(stream: IO[bytes], on_log: Callable[[bytes], None]) -> None:
    while chunk := os.read(stream.fileno(), CHUNK_BYTES):
        on_log(chunk)


def read_bounded_lines(stream: IO[bytes], limit: int = MAX_LINE_BYTES) -> Iterator[bytes]:
    """Lines without their ends. A longer line than `limit` comes out cut, so that a mad program cannot fill
    our memory.
    """
    line = bytearray()
    while chunk := os.read(stream.fileno(), CHUNK_BYTES):
        *whole, rest = chunk.split(b"\n")
        for piece in whole:
            line += piece[: max(0, limit - len(line))]
            yield bytes(line)
            line.clear()
        line += rest[: max(0, limit - len(line))]
    if line:
        yield bytes(line)
