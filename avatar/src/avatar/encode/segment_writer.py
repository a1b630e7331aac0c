"""Writes one scene's frames as a video-only MP4 that joins with its siblings; pipeline.segment drives it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import cv2
from av.container import OutputContainer
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream

from avatar.compose.colour import Planes
from avatar.encode.atomic import atomic_file
from avatar.spec import Canvas, VideoCodec

ENCODER_THREADS = 4
"""Fixed, because x264's decisions depend on it: the same spec gives the same bytes on every machine."""


CPU_AVX_512F = 13
"""OpenCV's number for it (CpuFeatures in cvdef.h)."""


class SegmentWriter:
    """An open segment. `write` takes frames in order; the header carries no trace of the content
    (stitchable).
    """

    def __init__(self, container: OutputContainer, canvas: Canvas, codec: VideoCodec) -> None:
        self._container = container
        self._canvas = canvas
        self._stream = _open_stream(container, canvas, codec)
        self.frames = 0

    def write(self, planes: Planes) -> None:
        """Encode one frame of the canvas' size. x264 copies it, so the planes may be used again at once."""
        frame = planes.frame
        frame.pts = self.frames
        frame.time_base = 1 / self._canvas.rate
        self.frames += 1
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def finish(self) -> None:
        for packet in self._stream.encode(None):
            self._container.mux(packet)


@contextmanager
def segment_writer(target: Path, canvas: Canvas, codec: VideoCodec) -> Iterator[SegmentWriter]:
    """A writer for `target`, which appears only when the block ends well.

    Raises `Unavailable` (`render.disk_full`, `render.write_failed`) when the file cannot be written.
    """
    with atomic_file(target) as part, av.open(str(part), "w", format="mp4") as container:
        writer = SegmentWriter(container, canvas, codec)
        yield writer
        writer.finish()


def gop_frames(canvas: Canvas, codec: VideoCodec) -> int:
    """Frames of each closed group of pictures: every segment begins one at each multiple of it."""
    return max(1, round(codec.gop_ms * canvas.rate / 1000))


def _open_stream(container: OutputContainer, canvas: Canvas, codec: VideoCodec) -> VideoStream:
    gop = gop_frames(canvas, codec)
    x264 = {
        "keyint": gop,
        "min-keyint": gop,
        "scenecut": 0,
        "open-gop": 0,
        "stitchable": 1,
        "threads": ENCODER_THREADS,
        "sliced-threads": 0,  # libavcodec's own default cuts each frame into slices
        "colorprim": "bt709",
        "transfer": "bt709",
        "colormatrix": "bt709",
        "chromaloc": 1,
    }
    if cv2.checkHardwareSupport(CPU_AVX_512F):
        # x264's AVX-512 code for its block tree (core 165) reads uninitialised memory and decides by it.
        x264["asm"] = "avx2"
    options = {
        "preset": codec.preset,
        "crf": str(codec.crf),
        "x264-params": ":".join(f"{key}={value}" for key, value in x264.items()),
    }
    stream = container.add_stream(codec.encoder, rate=canvas.rate, options=options)
    stream.width = canvas.width
    stream.height = canvas.height
    stream.pix_fmt = "yuv420p"
    stream.time_base = 1 / canvas.rate
    context = stream.codec_context
    context.color_range = ColorRange.MPEG
    context.colorspace = Colorspace.ITU709
    context.color_primaries = ColorPrimaries.BT709
    context.color_trc = ColorTrc.BT709
    return stream
