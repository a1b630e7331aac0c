"""Ctrl-C, SIGTERM, kill -9 and two at once: a clear word or a good video, and nothing half done is left."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import waiting

LONG = "Make a video in 360p where Nova says: " + "This sentence is spoken again and again. " * 6
PATIENCE_S = 200
eventually = partial(waiting.eventually, within_s=120, pause_s=0.1)


def events_until(process: subprocess.Popen[str], wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Reads JSON lines of a command until one fits."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        event = json.loads(line)
        seen.append(event)
        if wanted(event):
            return dict(event)
    raise AssertionError(f"it never came; the last was {seen[-1:]}")


def is_drawing(event: dict[str, Any]) -> bool:
    return event["type"] == "progress" and bool(event["done_frames"]) and event["state"] == "running"


def workers_of(home: Any) -> list[int]:
    """Processes of the worker that work in this installation."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(home.path / "state").encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.fixture
def asking(home: Any) -> Iterator[subprocess.Popen[str]]:
    """A command that has begun to draw a long video."""
    process = home.start("ask", LONG, "--json")
    events_until(process, is_drawing)
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize(
    "number, code",
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_a_signal_cancels_the_render_and_says_so(
    home: Any, asking: subprocess.Popen[str], number: signal.Signals, code: int
) -> None:
    asking.send_signal(number)
    output, _ = asking.communicate(timeout=PATIENCE_S)
    assert asking.returncode == code
    last = json.loads(output.splitlines()[-1])
    assert last["code"] == "render.cancelled" and last["message"]
    assert "Traceback" not in home.log.read_text()
    assert home.files(".mp4") == [] and home.partial() == []
    assert workers_of(home) == []
    assert "cancelled" in home.run("ask", "list my videos").stdout


def test_after_kill_9_in_the_middle_the_next_command_finishes_the_render(
    home: Any, asking: subprocess.Popen[str], probe: Callable[[Path], dict[str, Any]]
) -> None:
    os.kill(asking.pid, signal.SIGKILL)
    asking.wait()
    eventually(lambda: workers_of(home) == [])
    assert home.files(".mp4") == []
    # Looking at other things does not take the render up, and does not disturb it.
    assert "running" in home.run("ask", "list my videos").stdout
    ran = home.run("ask", "show the last video", "--json")
    assert ran.returncode == 0, ran.stdout
    [video] = home.files(".mp4")
    assert float(probe(video)["format"]["duration"]) > 8
    assert home.partial() == []


def test_a_render_that_nobody_drives_any_more_can_be_cancelled(
    home: Any, asking: subprocess.Popen[str]
) -> None:
    os.kill(asking.pid, signal.SIGKILL)
    asking.wait()
    ran = home.run("ask", "cancel it")
    assert ran.returncode == 0, ran.stderr
    assert "is cancelled" in ran.stdout
    assert "cancelled" in home.run("ask", "list my videos").stdout
    assert home.files(".mp4") == [] and home.partial() == []


@pytest.mark.slow
def test_two_that_ask_at_once_both_get_their_video(home: Any) -> None:
    sentence = "Make a video in 360p where Nova says: {}"
    both = [
        home.start("ask", sentence.format(words), "--json") for words in ("First of two.", "Second of two.")
    ]
    outputs = [process.communicate(timeout=PATIENCE_S)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert len(home.files(".mp4")) == 2


def media(film: Path) -> bytes:
    """Returns what is encoded in an MP4: its box `mdat`."""
    content = film.read_bytes()
    place = 0
    while place < len(content):
        size, kind = struct.unpack_from(">I4s", content, place)
        if kind == b"mdat":
            return content[place : place + size]
        place += size
    raise AssertionError(f"{film} has no mdat")


def test_two_that_ask_for_the_same_video_at_once_both_get_it(home: Any) -> None:
    sentence = "Make a video in 360p where Nova says: The very same."
    both = [home.start("ask", sentence, "--json") for _ in range(2)]
    outputs = [process.communicate(timeout=PATIENCE_S)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    first, second = home.files(".mp4")
    # Each file has a signature of its own.
    assert media(first) == media(second)
