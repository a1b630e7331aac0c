"""The encoder of broadcasts: sound and pictures on one clock, silence in gaps, and targets that go away."""

from __future__ import annotations

import asyncio
import math
import socket
import threading
import time
from array import array
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from ports import free_port
from waiting import eventually_async

pytest.importorskip("pocketsphinx", reason="needs pocketsphinx: run `uv sync --inexact --extra voice`")

from agent.voice.schemas import OUTPUT_HZ
from agent.voice.worker import broadcasting
from agent.voice.worker.broadcasting import Broadcaster
from agent.voice.worker.encoding import Sound
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


@asynccontextmanager
async def broadcasting_to(url: str) -> AsyncIterator[tuple[Broadcaster, list[tuple[str, str]]]]:
    states: list[tuple[str, str]] = []

    async def note(state: str, error: str) -> None:
        states.append((state, error))

    broadcaster = Broadcaster(url, note)
    try:
        yield broadcaster, states
    finally:
        await broadcaster.close()


async def perform(broadcaster: Broadcaster, seconds: float = 3.0) -> None:
    """Is dark and silent, and in the second second bright and loud."""
    began_s = time.monotonic()
    loud = tone(1.0)
    # Sound comes before it is due, as the pipeline gives it.
    broadcaster.play(loud, began_s + 1.0)
    for step in range(int(seconds * 25)):
        at_s = began_s + step / 25
        await asyncio.sleep(max(0.0, at_s - time.monotonic()))
        broadcaster.show(picture(200 if 1.0 <= step / 25 < 2.0 else 40, at_s))


async def until_live(broadcaster: Broadcaster, states: list[tuple[str, str]]) -> None:
    """Shows pictures until the target takes them."""

    def is_live() -> bool:
        broadcaster.show(picture(40, time.monotonic()))
        return bool(states) and states[-1][0] == "live"

    await eventually_async(is_live, f"the connection in {states}", WAIT_S)


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
    yield found
    thread.join(WAIT_S)


def bounds(track: list[tuple[float, float]], least: float) -> tuple[float, float]:
    """Returns from when to when a track is brighter or louder than that."""
    times = [at_s for at_s, value in track if value > least]
    return min(times), max(times)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcasting, "RETRY", Backoff(first_s=0.2, longest_s=0.2))


async def test_sound_and_pictures_stay_together_on_the_way_over_rtmp() -> None:
    port = free_port()
    with receiver(port) as found:
        async with broadcasting_to(f"rtmp://127.0.0.1:{port}/live/a-stream-key") as (broadcaster, states):
            await until_live(broadcaster, states)
            await perform(broadcaster)
    bright, loud = bounds(found.film, 120), bounds(found.sound, 0.1)
    # A picture lasts for 40 ms, a frame of AAC for 23, and its decoder begins two of them late.
    assert bright[0] == pytest.approx(loud[0], abs=0.11) and bright[1] == pytest.approx(loud[1], abs=0.11)
    times = [at_s for at_s, _ in found.sound]
    assert max(np.diff(times)) < 0.03, "silence fills the gaps"


async def test_a_playlist_for_hls_goes_on_when_the_broadcast_begins_again(tmp_path: Path) -> None:
    playlist = tmp_path / "nova.m3u8"
    for _ in range(2):
        async with broadcasting_to(str(playlist)) as (broadcaster, states):
            await until_live(broadcaster, states)
            await perform(broadcaster, 5.0)
    text = playlist.read_text()
    assert "#EXT-X-ENDLIST" not in text and "#EXT-X-DISCONTINUITY" in text
    names = [line for line in text.splitlines() if line.endswith(".ts")]
    assert len(names) == len(set(names)) >= 4
    assert max(float(line[8:-1]) for line in text.splitlines() if line.startswith("#EXTINF")) < 3.0


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    async with broadcasting_to(str(tmp_path / "nowhere" / "nova.m3u8")) as (broadcaster, states):
        broadcaster.show(picture(40, time.monotonic()))
        await eventually_async(
            lambda: [state for state, _ in states][:2] == ["connecting", "failed"], "it", WAIT_S
        )
    assert "No such folder" in states[1][1]


async def test_a_target_that_is_away_is_tried_again_and_its_key_is_not_shown(
    capfd: pytest.CaptureFixture[str],
) -> None:
    port = free_port()
    async with broadcasting_to(f"rtmp://127.0.0.1:{port}/live/a-stream-key") as (broadcaster, states):
        broadcaster.show(picture(40, time.monotonic()))
        await eventually_async(lambda: "failed" in [state for state, _ in states], "the failure", WAIT_S)
        with receiver(port) as found:
            await until_live(broadcaster, states)
            await perform(broadcaster, 1.0)
            await broadcaster.close()
    assert found.film
    shown = f"{states}{''.join(capfd.readouterr())}"
    assert "a-stream-key" not in shown and "Connection refused" in shown


async def test_a_target_that_takes_the_connection_and_says_nothing_stops_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(broadcasting, "OPEN_TIMEOUT_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"rtmp://127.0.0.1:{server.getsockname()[1]}/live/a-stream-key"
        async with broadcasting_to(url) as (broadcaster, states):
            longest_s, before_s = 0.0, time.monotonic()

            def has_failed() -> bool:
                nonlocal longest_s, before_s
                broadcaster.show(picture(40, time.monotonic()))
                longest_s, before_s = max(longest_s, time.monotonic() - before_s), time.monotonic()
                return "failed" in [state for state, _ in states]

            await eventually_async(has_failed, "the failure", WAIT_S)
            assert longest_s < 0.9, "the loop of all calls went on"
    assert "has taken nothing" in states[1][1]


def test_sound_has_its_place_and_is_dropped_by_an_interruption() -> None:
    sound = Sound(OUTPUT_HZ)
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
