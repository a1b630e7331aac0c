"""Pictures of one stage kept for the next one without any loss, where both do not fit the card together."""

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

_KEY_EVERY = 250
"""Frames from one picture that stands alone to the next: it takes many times what others take."""
_FORM = {"qp": "0", "preset": "ultrafast", "g": str(_KEY_EVERY)}


def write_pictures(
    path: Path, pictures: Iterable[Pixels], size: tuple[int, int], fps: int, frames: int
) -> None:
    """BGR pictures of `size` (width, height), `frames` of them, as lossless video: what stands still costs
    next to nothing.

    Raises Unavailable `render.disk_full` when the disk will not hold all of them: by what the first second
    takes, and after each further one.
    """
    room = _Room(path, frames)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264rgb", rate=fps, options=_FORM)
        stream.width, stream.height, stream.pix_fmt = *size, "bgr24"
        for number, picture in enumerate(pictures, 1):
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")):
                room.take(packet.size, key=packet.is_keyframe)
                container.mux(packet)
            if number % fps == 0:
                room.check()
        container.mux(stream.encode(None))


def read_pictures(path: Path) -> Iterator[Pixels]:
    """The same pictures again, bit by bit."""
    with open_media(path) as container:
        for frame in container.decode(video=0):
            yield np.ascontiguousarray(frame.to_ndarray(format="bgr24"))


@dataclass(slots=True)
class _Room:
    """Returns whether the rest will fit on the disk, estimated from what was written so far."""

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
        coming, free = self._coming_bytes(), shutil.disk_usage(self.path.parent).free
        if coming <= free:
            return
        place = visible_path(self.path)
        written, taken = self.keys + self.others, self.key_bytes + self.other_bytes
        raise Unavailable(
            "render.disk_full",
            "The pictures that wait for the second engine do not fit on the disk: "
            f"{written} of {self.frames} take {taken / 1e6:.1f} MB, the others will take about"
            f" {coming / 1e6:.1f} MB, and {free / 1e6:.1f} MB are left in"
            f" {place if place.is_dir() else place.parent}.",
            "Free some space, make shorter scenes, or use a card that holds both engines: then none wait.",
        )

    def _coming_bytes(self) -> float:
        written = self.keys + self.others
        if not self.keys or not self.others:
            return 0.0
        keys = max(0, math.ceil(self.frames / _KEY_EVERY) - self.keys)
        others = max(0, self.frames - written - keys)
        return keys * self.key_bytes / self.keys + others * self.other_bytes / self.others
