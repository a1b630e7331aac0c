"""Encodes sound and pictures as they come and sends them to one address; a program of its own.

PyAV holds the interpreter's lock while it opens and closes an output, so a target that does not answer would
stop every call of the voice worker. `broadcasting` starts this program, writes to it, and kills it when it
makes no progress. Nothing but PyAV and NumPy is imported.

Standard input: a line of JSON (`url`, `width`, `height`, `sound_hz`), then messages: kind, moment on the
monotonic clock, length, content (`HEAD`). Standard output: `live`, and then `alive` each second, or
`failed REASON` at the end. Both streams have the moments of one clock; where nothing sounds there is silence.
"""

from __future__ import annotations

import json
import os
import queue
import struct
import sys
import threading
import time
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace

HEAD = struct.Struct("<cdI")
PICTURE, SOUND, HUSH, END = b"P", b"S", b"H", b"E"
SOUND_HZ = 44_100
"""What receivers of RTMP take; Opus is not among it."""
SOUND_BITRATE = 128_000
BITRATE = 2_500_000
FPS = 25
KEYFRAME_S = 2
TIME_BASE = Fraction(1, 1000)
"""Of FLV: milliseconds."""
DELAY_S = 0.5
"""Silence is written where no sound has come by then."""
TICK_S = 0.02
ALIVE_S = 1.0
MAX_PICTURES = 3
HLS = {
    "hls_time": str(KEYFRAME_S),
    "hls_list_size": "6",
    "hls_flags": "delete_segments+append_list+discont_start+omit_endlist",
    "hls_segment_type": "mpegts",
}
"""A broadcast that begins again goes on with the list that is there."""
Shown = tuple[float, bytes]


class Sound:
    """Sound sample by sample from a moment on; silence where nothing came. Used by two threads."""

    def __init__(self, hz: int) -> None:
        self._hz = hz
        self._lock = threading.Lock()
        self._pieces: list[tuple[float, bytes]] = []
        self._next_s = 0.0

    def begin(self, at_s: float) -> None:
        """Begins at a moment; what came before it is dropped."""
        with self._lock:
            self._next_s = at_s
            self._pieces = [(when_s, pcm) for when_s, pcm in self._pieces if when_s >= at_s]

    def add(self, pcm: bytes, at_s: float) -> None:
        with self._lock:
            self._pieces.append((at_s, pcm))

    def clear(self, from_s: float) -> None:
        """Drops what is heard from a moment on."""
        with self._lock:
            self._pieces = [(at_s, pcm) for at_s, pcm in self._pieces if at_s < from_s]

    def take(self, until_s: float) -> bytes:
        """Returns the sound up to a moment, which was not returned before."""
        with self._lock:
            count = round((until_s - self._next_s) * self._hz)
            if count <= 0:
                return b""
            found = bytearray(2 * count)
            rest: list[tuple[float, bytes]] = []
            for at_s, pcm in self._pieces:
                place = 2 * round((at_s - self._next_s) * self._hz)
                pcm, place = (pcm, place) if place >= 0 else (pcm[-place:], 0)
                fits = max(0, len(found) - place)
                found[place : place + len(pcm)] = pcm[:fits] if fits else b""
                if len(pcm) > fits:
                    rest.append((self._next_s + (place + fits) / (2 * self._hz), pcm[fits:]))
            self._pieces = rest
            self._next_s += count / self._hz
            return bytes(found)


class Input:
    """Messages of standard input, read by a thread: the last pictures, and the sound."""

    def __init__(self, stream: BinaryIO, sound: Sound) -> None:
        self.pictures: queue.Queue[Shown] = queue.Queue(MAX_PICTURES)
        self.ended = threading.Event()
        self._stream, self._sound = stream, sound
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while len(head := self._stream.read(HEAD.size)) == HEAD.size:
                kind, at_s, length = HEAD.unpack(head)
                content = self._stream.read(length)
                if kind == PICTURE:
                    if self.pictures.full():
                        with suppress(queue.Empty):
                            self.pictures.get_nowait()
                    self.pictures.put((at_s, content))
                elif kind == SOUND:
                    self._sound.add(content, at_s)
                elif kind == HUSH:
                    self._sound.clear(at_s)
                else:
                    break
        finally:
            self.ended.set()


class Film:
    """The pictures as H.264, with a key frame every `KEYFRAME_S`."""

    def __init__(self, container: OutputContainer, width: int, height: int) -> None:
        self._container = container
        self._stream = container.add_stream("libx264", rate=FPS)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"
        self._stream.bit_rate = BITRATE
        self._stream.time_base = self._stream.codec_context.time_base = TIME_BASE
        # The presenter who says nothing has fewer pictures a second: key frames are asked for by time.
        self._stream.codec_context.gop_size = 100 * FPS
        self._stream.options = {"preset": "veryfast", "tune": "zerolatency"}
        self._last, self._key = -1, -1000 * KEYFRAME_S

    def write(self, data: bytes, at_s: float) -> None:
        width, height = self._stream.width, self._stream.height
        rows = np.frombuffer(data, np.uint8).reshape(height * 3 // 2, width)
        frame = av.VideoFrame.from_ndarray(rows, "yuv420p")
        frame.colorspace, frame.color_range = Colorspace.ITU709, ColorRange.MPEG
        frame.pts, frame.time_base = max(self._last + 1, round(1000 * at_s)), TIME_BASE
        if frame.pts - self._key >= 1000 * KEYFRAME_S:
            frame.pict_type = PictureType.I
            self._key = frame.pts
        self._last = frame.pts
        self._container.mux(self._stream.encode(frame))

    def end(self) -> None:
        self._container.mux(self._stream.encode(None))


class Track:
    """The sound as AAC."""

    def __init__(self, container: OutputContainer, hz: int) -> None:
        self._container = container
        self._hz = hz
        self._stream = container.add_stream("aac", rate=SOUND_HZ, layout="mono")
        self._stream.bit_rate = SOUND_BITRATE
        self._resampler = AudioResampler(format="fltp", layout="mono", rate=SOUND_HZ, frame_size=1024)
        self._samples = 0

    def write(self, pcm: bytes) -> None:
        if not pcm:
            return
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(pcm) // 2)
        frame.planes[0].update(pcm)
        frame.sample_rate, frame.time_base = self._hz, Fraction(1, self._hz)
        frame.pts = self._samples
        self._samples += frame.samples
        for one in self._resampler.resample(frame):
            self._container.mux(self._stream.encode(one))

    def end(self) -> None:
        for one in self._resampler.resample(None):
            self._container.mux(self._stream.encode(one))
        self._container.mux(self._stream.encode(None))


def open_output(url: str) -> OutputContainer:
    """Opens a target. Raises OSError for a folder that is not there, and FFmpegError."""
    if url.endswith(".m3u8"):
        if not Path(url).parent.is_dir():
            raise FileNotFoundError(2, "No such folder")
        return av.open(url, "w", format="hls", options=HLS)
    return av.open(url, "w", format="flv")


def send(settings: dict[str, object], stream: BinaryIO) -> None:
    """Sends until the input ends."""
    hz = int(str(settings["sound_hz"]))
    sound = Sound(hz)
    incoming = Input(stream, sound)
    with open_output(str(settings["url"])) as container:
        film = Film(container, int(str(settings["width"])), int(str(settings["height"])))
        track = Track(container, hz)
        container.start_encoding()
        start_s = time.monotonic()
        sound.begin(start_s)
        tell("live")
        alive_s = start_s
        while not incoming.ended.is_set():
            with suppress(queue.Empty):
                at_s, data = incoming.pictures.get(timeout=TICK_S)
                if at_s >= start_s:
                    film.write(data, at_s - start_s)
            track.write(sound.take(time.monotonic() - DELAY_S))
            if time.monotonic() - alive_s >= ALIVE_S:
                alive_s = time.monotonic()
                tell("alive")
        track.write(sound.take(time.monotonic()))
        film.end()
        track.end()


def tell(line: str) -> None:
    with suppress(BrokenPipeError):
        print(line, flush=True)


def main() -> int:
    stream = sys.stdin.buffer
    settings = json.loads(stream.readline())
    try:
        send(settings, stream)
    except (FFmpegError, OSError) as error:
        # The text of an error may hold the URL, which ends with the key.
        tell(f"failed {error.strerror or type(error).__name__}")
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    # The thread that reads may wait for input; there is nothing to wait for.
    os._exit(code)
