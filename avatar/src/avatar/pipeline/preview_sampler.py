"""Samples previews while a scene is made: a small JPEG now and then. The frame loop calls it once a frame."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable

import cv2
from av.video.reformatter import Colorspace

from avatar.compose.colour import Planes
from avatar.spec import PreviewFrame
from avatar.spec.progress import MAX_PREVIEW_CHARS

EVERY_S = 2.0
LONGER_SIDE_PX = 320
JPEG_QUALITY = 60


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
        self._next = time.monotonic() + EVERY_S
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
