"""Stores the frames of one engine as lossless video for the next, when both do not fit into GPU memory."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from avatar.encode.atomic import visible_path
from avatar.engines.base import Pixels
from avatar.errors import Unavailable
from avatar.media_files import open_media

_KEYFRAME_INTERVAL = 250
"""Frames between key frames, which are many times larger."""
_X264_OPTIONS = {"qp": "0", "preset": "ultrafast", "g": str(_KEYFRAME_INTERVAL)}


def write_pictures(
    path: Path, pictures: Iterable[Pixels], size: tuple[int, int], fps: int, frames: int
) -> None:
    """Writes BGR pictures of `size` (width, height), `frames` of them, as lossless video: static areas take
    almost no space.

    Raises Unavailable `render.disk_full` when the disk will not hold all of them, estimated after each
    second.
    """
    budget = _DiskBudget(path, frames)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264rgb", rate=fps, options=_X264_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = *size, "bgr24"
        for number, picture in enumerate(pictures, 1):
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")):
                budget.take(packet.size, key=packet.is_keyframe)
                container.mux(packet)
            if number % fps == 0:
                budget.check()
        container.mux(stream.encode(None))


def read_pictures(path: Path) -> Iterator[Pixels]:
    """Yields the same pictures, without any loss."""
    with open_media(path) as container:
        for frame in container.decode(video=0):
            yield np.ascontiguousarray(frame.to_ndarray(format="bgr24"))


@dataclass(slots=True)
class _DiskBudget:
    """Estimates from the frames written so far whether the rest will fit on the disk."""

    path: Path
    frames: int
    keys: int = 0
    others: int = 0
    key_bytes: int = 0
    other_bytes: int = 0

    def take(self, size: int, *, key: bool) -> None:
        if key:
            self.keys, self.key_bytes = self.keys + 1, self.key_bytes + size
        else:
            self.others, self.other_bytes = self.others + 1, self.other_bytes + size

    def check(self) -> None:
        """Raises Unavailable `render.disk_full` when the rest will not fit."""
        remaining, free = self._remaining_bytes(), shutil.disk_usage(self.path.parent).free
        if remaining <= free:
            return
        place = visible_path(self.path)
        written, taken = self.keys + self.others, self.key_bytes + self.other_bytes
        raise Unavailable(
            "render.disk_full",
            "The intermediate frames do not fit on the disk: "
            f"{written} of {self.frames} take {taken / 1e6:.1f} MB, the others will take about"
            f" {remaining / 1e6:.1f} MB, and {free / 1e6:.1f} MB are left in"
            f" {place if place.is_dir() else place.parent}.",
            "Free some space, make shorter scenes, or use a GPU that holds both engines.",
        )

    def _remaining_bytes(self) -> float:
        written = self.keys + self.others
        if not self.keys or not self.others:
            return 0.0
        keys = max(0, math.ceil(self.frames / _KEYFRAME_INTERVAL) - self.keys)
        others = max(0, self.frames - written - keys)
        return keys * self.key_bytes / self.keys + others * self.other_bytes / self.others
