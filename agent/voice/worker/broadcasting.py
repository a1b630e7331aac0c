"""Encodes sound and pictures as they come, and sends them to an address; in a thread of its own.

Both have the moments of the monotonic clock. Where nothing sounds there is silence, and late pictures are
left out: a target that takes less than it is sent delays nothing. When the connection is lost it is made
again, and what came meanwhile is dropped.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace

from agent.voice.schemas import OUTPUT_HZ, BroadcastState
from agent.voice.worker.live_face import Picture
from soundstage.backoff import Backoff
from soundstage.telemetry import get_logger

SOUND_HZ = 44_100
"""What receivers of RTMP take; Opus is not among it."""
SOUND_BITRATE = 128_000
BITRATE = 2_500_000
FPS = 25
KEYFRAME_S = 2
SEGMENT_S = 2
TIME_BASE = Fraction(1, 1000)
"""Of FLV: milliseconds."""
DELAY_S = 0.25
"""Silence is written where no sound has come by then."""
TICK_S = 0.02
MAX_PICTURES = 5
OPEN_TIMEOUT_S = 10
RETRY = Backoff(first_s=1.0, longest_s=15.0)
Note = Callable[[BroadcastState, str], None]
log = get_logger(__name__)


class Encoder:
    """Sends to `url` until `close`. `note` is told of each change of the connection, in the thread."""

    def __init__(self, url: str, note: Note) -> None:
        self._url = url
        self._note = note
        self._pictures: queue.Queue[tuple[bytes, int, int, float]] = queue.Queue(MAX_PICTURES)
        self._sound = _Sound()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="broadcast", daemon=True)
        self._thread.start()

    def show(self, picture: Picture) -> None:
        """Takes a picture; drops it while the encoder is behind."""
        with suppress(queue.Full):
            self._pictures.put_nowait((bytes(picture.data), picture.width, picture.height, picture.at_s))

    def play(self, pcm: bytes, at_s: float) -> None:
        """Takes a piece of sound, 16-bit mono, that is heard at `at_s`, monotonic time."""
        self._sound.add(pcm, at_s)

    def hush(self) -> None:
        """Drops sound that is still to come."""
        self._sound.clear(time.monotonic())

    def close(self) -> None:
        """Ends the connection, and waits for it."""
        self._closing.set()
        self._thread.join(OPEN_TIMEOUT_S)

    def _run(self) -> None:
        failures = 0
        while not self._closing.is_set():
            self._note("connecting", "")
            began_s = time.monotonic()
            try:
                self._send()
            except (FFmpegError, OSError, ValueError) as error:
                failures = 1 if time.monotonic() - began_s > RETRY.longest_s else failures + 1
                # Its text may hold the URL, which ends with the key.
                reason = getattr(error, "strerror", None) or type(error).__name__
                log.warning("voice.broadcast_failed", reason=reason)
                self._note("failed", f"The target does not take the broadcast: {reason}.")
                self._closing.wait(RETRY.delay_s(failures))

    def _send(self) -> None:
        """Opens the target with the first picture, and sends until `close`."""
        first = self._next_picture()
        if first is None:
            return
        with self._open() as container:
            film = _Film(container, first[1], first[2])
            track = _Track(container)
            container.start_encoding()
            self._note("live", "")
            start_s = time.monotonic()
            self._sound.begin(start_s)
            while not self._closing.is_set():
                picture = self._next_picture(TICK_S)
                if picture is not None and picture[3] >= start_s:
                    film.write(picture[0], picture[3] - start_s)
                track.write(self._sound.take(time.monotonic() - DELAY_S))
            film.end()
            track.end()

    def _open(self) -> OutputContainer:
        if self._url.endswith(".m3u8"):
            options = {"hls_time": str(SEGMENT_S), "hls_list_size": "6", "hls_flags": "delete_segments"}
            return av.open(self._url, "w", format="hls", options=options)
        return av.open(self._url, "w", format="flv", timeout=(OPEN_TIMEOUT_S, OPEN_TIMEOUT_S))

    def _next_picture(self, within_s: float = 1.0) -> tuple[bytes, int, int, float] | None:
        with suppress(queue.Empty):
            return self._pictures.get(timeout=within_s)
        return None


class _Sound:
    """Sound sample by sample from a moment on; silence where nothing came. Used by two threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pieces: list[tuple[float, bytes]] = []
        self._next_s = 0.0

    def begin(self, at_s: float) -> None:
        with self._lock:
            self._next_s, self._pieces = at_s, []

    def add(self, pcm: bytes, at_s: float) -> None:
        with self._lock:
            self._pieces.append((at_s, pcm))

    def clear(self, from_s: float) -> None:
        with self._lock:
            self._pieces = [(at_s, pcm) for at_s, pcm in self._pieces if at_s < from_s]

    def take(self, until_s: float) -> bytes:
        """Returns the sound up to a moment, which was not returned before."""
        with self._lock:
            count = round((until_s - self._next_s) * OUTPUT_HZ)
            if count <= 0:
                return b""
            found = bytearray(2 * count)
            rest: list[tuple[float, bytes]] = []
            for at_s, pcm in self._pieces:
                place = 2 * round((at_s - self._next_s) * OUTPUT_HZ)
                pcm, place = (pcm, place) if place >= 0 else (pcm[-place:], 0)
                fits = max(0, len(found) - place)
                found[place : place + len(pcm)] = pcm[:fits] if fits else b""
                if len(pcm) > fits:
                    rest.append((self._next_s + (place + fits) / (2 * OUTPUT_HZ), pcm[fits:]))
            self._pieces = rest
            self._next_s += count / OUTPUT_HZ
            return bytes(found)


class _Film:
    """The pictures as H.264."""

    def __init__(self, container: OutputContainer, width: int, height: int) -> None:
        self._container = container
        self._stream = container.add_stream("libx264", rate=FPS)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"
        self._stream.bit_rate = BITRATE
        self._stream.time_base = self._stream.codec_context.time_base = TIME_BASE
        self._stream.codec_context.gop_size = KEYFRAME_S * FPS
        self._stream.options = {"preset": "veryfast", "tune": "zerolatency"}
        self._last = -1

    def write(self, data: bytes, at_s: float) -> None:
        width, height = self._stream.width, self._stream.height
        rows = np.frombuffer(data, np.uint8).reshape(height * 3 // 2, width)
        frame = av.VideoFrame.from_ndarray(rows, "yuv420p")
        frame.colorspace, frame.color_range = Colorspace.ITU709, ColorRange.MPEG
        frame.pts, frame.time_base = max(self._last + 1, round(1000 * at_s)), TIME_BASE
        self._last = frame.pts
        self._container.mux(self._stream.encode(frame))

    def end(self) -> None:
        self._container.mux(self._stream.encode(None))


class _Track:
    """The sound as AAC."""

    def __init__(self, container: OutputContainer) -> None:
        self._container = container
        self._stream = container.add_stream("aac", rate=SOUND_HZ, layout="mono")
        self._stream.bit_rate = SOUND_BITRATE
        self._resampler = AudioResampler(format="fltp", layout="mono", rate=SOUND_HZ, frame_size=1024)
        self._samples = 0

    def write(self, pcm: bytes) -> None:
        if not pcm:
            return
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(pcm) // 2)
        frame.planes[0].update(pcm)
        frame.sample_rate, frame.time_base = OUTPUT_HZ, Fraction(1, OUTPUT_HZ)
        frame.pts = self._samples
        self._samples += frame.samples
        for one in self._resampler.resample(frame):
            self._container.mux(self._stream.encode(one))

    def end(self) -> None:
        for one in self._resampler.resample(None):
            self._container.mux(self._stream.encode(one))
        self._container.mux(self._stream.encode(None))
