"""The encoder of broadcasts: sound and pictures on one clock, silence in gaps, and targets that go away."""

from __future__ import annotations

import math
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from ports import free_port
from waiting import eventually

pytest.importorskip("pocketsphinx", reason="needs pocketsphinx: run `uv sync --inexact --extra voice`")

from agent.voice.schemas import OUTPUT_HZ
from agent.voice.worker import broadcasting
from agent.voice.worker.broadcasting import Encoder, _Sound
from agent.voice.worker.live_face import Picture
from soundstage.backoff import Backoff

WIDTH, HEIGHT = 160, 96
WAIT_S = 60
TONE_HZ = 600


def picture(brightness: int, at_s: float) -> Picture:
    luma, chroma = bytes([brightness]) * (WIDTH * HEIGHT), bytes([128]) * (WIDTH * HEIGHT // 2)
    return Picture(memoryview(luma + chroma), WIDTH, HEIGHT, at_s)


def tone(seconds: float) -> bytes:
    angles = (2 * math.pi * TONE_HZ * k / OUTPUT_HZ for k in range(int(seconds * OUTPUT_HZ)))
    return array("h", (int(12_000 * math.sin(angle)) for angle in angles)).tobytes()


@contextmanager
def encoding(url: str) -> Iterator[tuple[Encoder, list[tuple[str, str]]]]:
    states: list[tuple[str, str]] = []
    encoder = Encoder(url, lambda state, error: states.append((state, error)))
    try:
        yield encoder, states
    finally:
        encoder.close()


def perform(encoder: Encoder, seconds: float = 3.0) -> None:
    """Is dark and silent, and in the second second bright and loud."""
    began_s = time.monotonic()
    loud = tone(1.0)
    piece = len(loud) // 25
    sent = 0
    while (elapsed_s := time.monotonic() - began_s) < seconds:
        is_loud = 1.0 <= elapsed_s < 2.0
        encoder.show(picture(200 if is_loud else 40, time.monotonic()))
        while is_loud and sent < 25 and elapsed_s >= 1.0 + sent / 25:
            encoder.play(loud[sent * piece : (sent + 1) * piece], began_s + 1.0 + sent / 25)
            sent += 1
        time.sleep(0.04)


class Received:
    """Pictures and sound of a receiver: seconds of the stream, brightness and loudness."""

    def __init__(self) -> None:
        self.film: list[tuple[float, float]] = []
        self.sound: list[tuple[float, float]] = []

    def read(self, container: Any) -> None:
        with suppress(av.error.FFmpegError):
            for frame in container.decode():
                if isinstance(frame, av.VideoFrame):
                    self.film.append((frame.time, float(frame.to_ndarray(format="gray").mean())))
                else:
                    self.sound.append((frame.time, float(np.abs(frame.to_ndarray()).max())))


@contextmanager
def receiver(port: int) -> Iterator[Received]:
    """Listens for one publisher over RTMP."""
    found = Received()

    def listen() -> None:
        address = f"rtmp://127.0.0.1:{port}/live/a-stream-key"
        with av.open(address, options={"listen": "1", "timeout": str(WAIT_S)}) as container:
            found.read(container)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    time.sleep(0.3)
    yield found
    thread.join(WAIT_S)


def bounds(track: list[tuple[float, float]], least: float) -> tuple[float, float]:
    """Returns from when to when a track is brighter or louder than that."""
    times = [at_s for at_s, value in track if value > least]
    return min(times), max(times)


def test_sound_and_pictures_stay_together_on_the_way_over_rtmp() -> None:
    port = free_port()
    with receiver(port) as found, encoding(f"rtmp://127.0.0.1:{port}/live/a-stream-key") as (encoder, states):
        encoder.show(picture(40, time.monotonic()))
        eventually(lambda: ("live", "") in states, "the connection", WAIT_S)
        perform(encoder)
    assert [state for state, _ in states] == ["connecting", "live"]
    bright, loud = bounds(found.film, 120), bounds(found.sound, 0.1)
    # A picture lasts for 40 ms, a frame of AAC for 23, and its decoder begins two of them late.
    assert bright[0] == pytest.approx(loud[0], abs=0.11) and bright[1] == pytest.approx(loud[1], abs=0.11)
    times = [at_s for at_s, _ in found.sound]
    assert max(np.diff(times)) < 0.03, "silence fills the gaps"
    assert len(found.film) >= 50


def test_a_playlist_and_segments_are_written_for_hls(tmp_path: Path) -> None:
    playlist = tmp_path / "nova.m3u8"
    with encoding(str(playlist)) as (encoder, _):
        perform(encoder, 5.0)
        eventually(playlist.is_file, "the playlist", WAIT_S)
    text = playlist.read_text()
    assert "#EXTINF" in text and list(tmp_path.glob("*.ts"))
    found = Received()
    with av.open(str(playlist)) as container:
        found.read(container)
    assert bounds(found.film, 120)[0] == pytest.approx(bounds(found.sound, 0.1)[0], abs=0.11)


def test_a_target_that_is_away_is_tried_again_and_its_key_is_not_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(broadcasting, "RETRY", Backoff(first_s=0.2, longest_s=0.2))
    port = free_port()
    with encoding(f"rtmp://127.0.0.1:{port}/live/a-stream-key") as (encoder, states):

        def is_in(*expected: str) -> Callable[[], bool]:
            def look() -> bool:
                encoder.show(picture(40, time.monotonic()))
                return [state for state, _ in states][-len(expected) :] == [*expected]

            return look

        eventually(is_in("failed"), "the failure", WAIT_S)
        with receiver(port) as found:
            eventually(is_in("live"), "the connection", WAIT_S)
            perform(encoder, 1.0)
            encoder.close()
    assert found.film
    text = f"{states}{caplog.text}{capsys.readouterr()}"
    assert "a-stream-key" not in text and "Connection refused" in text


def test_sound_has_its_place_and_is_dropped_by_an_interruption() -> None:
    sound = _Sound()
    sound.begin(10.0)
    sound.add(b"\x01\x00" * 240, 10.005)
    assert sound.take(10.005) == bytes(2 * 120)
    assert sound.take(10.010) == b"\x01\x00" * 120
    sound.add(b"\x02\x00" * 240, 10.030)
    sound.clear(10.020)
    assert sound.take(10.040) == b"\x01\x00" * 120 + bytes(2 * 600)
    assert sound.take(10.040) == b""
    sound.add(b"\x03\x00" * 480, 10.030)
    assert sound.take(10.050) == b"\x03\x00" * 240, "what came too late for its first half"
