"""One sentence at the prompt becomes a video with everything that was promised about it."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

# The short form of this room.
pytestmark = pytest.mark.smoke
SUFFIXES = (".mp4", ".vtt", ".srt", ".png", ".provenance.json")
SCRIPT = "Hello there, world! This is a test."
TIME = re.compile(r"(\d+):(\d\d):(\d\d)[.,](\d{3})")

Probe = Callable[[Path], dict[str, Any]]


def only(walked: Any, suffix: str) -> Path:
    """The file of the first video; the last test of this module makes another."""
    return Path(min(walked[0].files(suffix), key=lambda path: path.stat().st_mtime_ns))


def cues(text: str) -> list[tuple[float, float, str]]:
    """(start, end, text) of every caption of a VTT or SRT file, in seconds."""
    found = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        lines = block.strip().split("\n")
        row = next((number for number, line in enumerate(lines) if "-->" in line), None)
        if row is not None:
            start, end = (seconds(part) for part in lines[row].split("-->"))
            found.append((start, end, " ".join(lines[row + 1 :])))
    return found


def seconds(text: str) -> float:
    match = TIME.search(text if text.count(":") > 1 else f"00:{text.strip()}")
    assert match is not None, text
    hours, minutes, whole, thousandths = map(int, match.groups())
    return hours * 3600 + minutes * 60 + whole + thousandths / 1000


def test_the_command_names_the_files_that_it_made(walked: Any) -> None:
    home, ran = walked
    for suffix in SUFFIXES:
        assert f"out/{only(walked, suffix).name}" in ran.stdout
    assert [path for path in home.out.iterdir() if path.name.startswith(".")] == []
    assert home.partial() == []


def test_the_video_has_the_promised_streams(walked: Any, probe: Probe) -> None:
    streams = {stream["codec_type"]: stream for stream in probe(only(walked, ".mp4"))["streams"]}
    video, audio = streams["video"], streams["audio"]
    assert (video["codec_name"], video["pix_fmt"]) == ("h264", "yuv420p")
    assert (video["width"], video["height"], video["r_frame_rate"]) == (640, 360, "25/1")
    assert (audio["codec_name"], audio["sample_rate"]) == ("aac", "48000")
    assert abs(float(video["duration"]) - float(audio["duration"])) <= 0.04


def test_a_browser_can_start_before_the_whole_file_is_there(walked: Any) -> None:
    data = only(walked, ".mp4").read_bytes()
    order, position = [], 0
    while position < len(data):
        size, kind = struct.unpack(">I4s", data[position : position + 8])
        order.append(kind.decode())
        position += size
    assert order.index("moov") < order.index("mdat")


def test_captions_say_every_word_in_time_order_and_within_the_video(walked: Any, probe: Probe) -> None:
    length = float(probe(only(walked, ".mp4"))["format"]["duration"])
    for suffix in (".vtt", ".srt"):
        found = cues(only(walked, suffix).read_text())
        assert " ".join(text for _, _, text in found) == SCRIPT
        times = [time for start, end, _ in found for time in (start, end)]
        assert times == sorted(times)
        assert times[0] >= 0 and times[-1] <= length + 0.04
    assert only(walked, ".vtt").read_text().startswith("WEBVTT")


def test_the_poster_is_a_picture_of_the_size_of_the_video(walked: Any, probe: Probe) -> None:
    [stream] = probe(only(walked, ".png"))["streams"]
    assert (stream["codec_name"], stream["width"], stream["height"]) == ("png", 640, 360)


def test_the_video_says_that_it_is_synthetic_inside_and_beside_it(walked: Any, probe: Probe) -> None:
    video = only(walked, ".mp4")
    sidecar = only(walked, ".provenance.json").read_text()
    assert "synthetic" in sidecar.lower()
    assert hashlib.sha256(video.read_bytes()).hexdigest() in sidecar
    assert "synthetic" in json.dumps(probe(video)["format"]["tags"]).lower()


def test_the_same_sentence_again_takes_its_scenes_from_the_cache(walked: Any) -> None:
    home, _ = walked
    ran = home.run("ask", f"Make a video in 360p where Nova says: {SCRIPT}", "--json")
    assert ran.returncode == 0, ran.stdout
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    render_id = next(event["result"]["render_id"] for event in events if event["type"] == "tool_result")
    assert events[-1]["type"] == "done"
    assert len(home.files(".mp4")) == 2
    with closing(sqlite3.connect(home.path / "state" / "soundstage.db")) as database:
        query = "SELECT reused FROM render_segments WHERE render_id = ?"
        assert database.execute(query, (render_id,)).fetchall() == [(1,)]
