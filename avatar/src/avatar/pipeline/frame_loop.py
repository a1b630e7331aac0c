"""The frame loop of every engine: writes the frames of a scene, counts them, and samples previews."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterable

import cv2
from av.video.reformatter import Colorspace

from avatar.compose.colour import Planes
from avatar.encode.segment_writer import SegmentWriter
from avatar.pipeline.context import Context
from avatar.spec import FrameProgress, PreviewFrame, StageStarted
from avatar.spec.progress import MAX_PREVIEW_CHARS

PROGRESS_EVERY_S = 0.25
PREVIEW_EVERY_S = 2.0
LONGER_SIDE_PX = 320
JPEG_QUALITY = 60


class FrameLoop:
    """The stage `frames` of one scene; it begins when this is created, before the engine is opened."""

    def __init__(self, context: Context, scene: str, total_frames: int) -> None:
        context.tell(StageStarted(stage="frames", scene=scene, total_frames=total_frames))
        self._check = context.check
        self._meter = FrameMeter(context.tell, scene, total_frames)
        self._previews = PreviewSampler(context.tell, scene)

    def write(self, frames: Iterable[Planes], writer: SegmentWriter) -> None:
        """Writes each frame before the next one is drawn; raises `Cancelled` once the caller asks to stop."""
        for planes in frames:
            self._check()
            writer.write(planes)
            self._previews.add(planes)
            self._meter.count()


class FrameMeter:
    """Reports progress at most four times a second, and once more at the last frame."""

    def __init__(self, tell: Callable[[FrameProgress], None], scene: str | None, total: int) -> None:
        self._tell = tell
        self._scene = scene
        self._total = total
        self._done = 0
        self._started = self._reported_at = time.monotonic()

    def count(self) -> None:
        self._done += 1
        now = time.monotonic()
        if now - self._reported_at < PROGRESS_EVERY_S and self._done < self._total:
            return
        self._reported_at = now
        fps = self._done / max(now - self._started, 1e-6)
        self._tell(
            FrameProgress(
                scene=self._scene,
                done_frames=self._done,
                total_frames=self._total,
                fps=round(fps, 1),
                eta_s=round((self._total - self._done) / fps, 1),
            )
        )


class PreviewSampler:
    """Sends the first frame at once, then one every two seconds; the frames in between cost nothing."""

    def __init__(self, tell: Callable[[PreviewFrame], None], scene: str | None) -> None:
        self._tell = tell
        self._scene = scene
        self._frame = 0
        self._next = 0.0

    def add(self, planes: Planes) -> None:
        number, self._frame = self._frame, self._frame + 1
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + PREVIEW_EVERY_S
        jpeg = base64.b64encode(small_jpeg(planes)).decode("ascii")
        if len(jpeg) <= MAX_PREVIEW_CHARS:
            self._tell(PreviewFrame(scene=self._scene, frame=number, jpeg=jpeg))


def small_jpeg(planes: Planes) -> bytes:
    """Returns a JPEG of at most 320 pixels on its longer side."""
    frame = planes.frame
    scale = min(1.0, LONGER_SIDE_PX / max(frame.width, frame.height))
    small = frame.reformat(
        width=max(2, round(frame.width * scale)),
        height=max(2, round(frame.height * scale)),
        format="bgr24",
        src_colorspace=Colorspace.ITU709,
    )
    _, encoded = cv2.imencode(".jpg", small.to_ndarray(), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return encoded.tobytes()
