"""Starts the espeak-ng child, reads its lines and turns what goes wrong into errors; used by `espeak`."""

from __future__ import annotations

import difflib
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import IO, Any

from avatar.encode.atomic import write_error
from avatar.errors import AvatarError, InvalidInput, Unavailable

CHILD = Path(__file__).with_name("espeak_child.py")
INSTALL_HINT = "apt-get install espeak-ng"
START_TIMEOUT_S = 30.0
DAMAGED = "speech.espeak_failed"


def espeak_lines(request: dict[str, Any], work_s: float) -> Generator[dict[str, Any]]:
    """Give the child a request and yield the lines it prints; it never outlives this generator.

    work_s: seconds the work may take on top of the start. Raises InvalidInput `speech.unknown_language`,
    `speech.unknown_variant`; Unavailable `speech.espeak_missing`, `espeak_failed`, `timeout`; and, when the
    sound cannot be written, `render.disk_full` and `render.write_failed`.
    """
    timeout_s = START_TIMEOUT_S + work_s
    timed_out = threading.Event()
    # By path and isolated: the GPL library gets a process that imports nothing of this project.
    command = [sys.executable, "-I", "-S", str(CHILD)]
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
            yield from _lines(child.stdout, request)
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
                "speech.timeout", f"espeak-ng did not finish within {timeout_s:.0f} s.", "shorten the scene"
            )
        if child.returncode != 0:
            errors.seek(0)
            raise _ended(child.returncode, errors.read().decode("utf-8", "replace"))


def _give(stdin: IO[bytes], data: bytes) -> None:
    try:
        stdin.write(data)
        stdin.close()
    except BrokenPipeError:
        # The child died early; its status and message say why.
        return


def _lines(stdout: IO[bytes], request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for line in stdout:
        try:
            content = json.loads(line)
        except ValueError as error:
            raise Unavailable(DAMAGED, "espeak-ng printed something unexpected.", "Try again.") from error
        if not isinstance(content, dict):
            raise Unavailable(DAMAGED, "espeak-ng printed something unexpected.", "Try again.")
        if "error" in content:
            raise _refused(content, request)
        yield content


def _ended(status: int, errors: str) -> Unavailable:
    lines = errors.strip().splitlines()
    reason = lines[-1][-200:] if lines else "no message"
    return Unavailable(DAMAGED, f"espeak-ng ended with status {status}: {reason}.", "Try again.")


def _refused(line: dict[str, Any], request: dict[str, Any]) -> AvatarError:
    """The error for `{"error": code, ...}` of the child."""
    match line["error"]:
        case "missing":
            return Unavailable(
                "speech.espeak_missing", "espeak-ng is not installed on this machine.", INSTALL_HINT
            )
        case "unknown_voice":
            name = str(request["voice"])
            return InvalidInput(
                "speech.unknown_language",
                f"espeak-ng has no language or voice {name!r}.",
                _close_names(name, line.get("voices", []), "`espeak-ng --voices` lists the languages."),
            )
        case "unknown_variant":
            name = str(request["variant"])
            return InvalidInput(
                "speech.unknown_variant",
                f"espeak-ng has no voice variant {name!r}.",
                _close_names(name, line.get("variants", []), "`espeak-ng --voices=variant` lists them."),
            )
        case "disk":
            return write_error(OSError(line["errno"], line["reason"]), Path(request["wav"]))
    return Unavailable(DAMAGED, f"espeak-ng failed ({line['error']}).", "Try again.")


def _close_names(name: str, known: list[str], otherwise: str) -> str:
    close = difflib.get_close_matches(name, known, n=5, cutoff=0.5)
    close += [item for item in known if item.split("-")[0] == name[:2] and item not in close]
    return f"close names: {', '.join(close[:5])}" if close else otherwise
