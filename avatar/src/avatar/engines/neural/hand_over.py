"""Pictures of one stage kept for the next one without any loss, where both do not fit the card together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np

from avatar.engines.base import Pixels
from avatar.media_files import open_media

_FORM = {"qp": "0", "preset": "ultrafast"}


def write_pictures(path: Path, pictures: Iterable[Pixels], size: tuple[int, int], fps: int) -> None:
    """BGR pictures of `size` (width, height) as lossless video: what stands still costs next to nothing."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264rgb", rate=fps, options=_FORM)
        stream.width, stream.height, stream.pix_fmt = *size, "bgr24"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))


def read_pictures(path: Path) -> Iterator[Pixels]:
    """The same pictures again, bit by bit."""
    with open_media(path) as container:
        for frame in container.decode(video=0):
            yield np.ascontiguousarray(frame.to_ndarray(format="bgr24"))
