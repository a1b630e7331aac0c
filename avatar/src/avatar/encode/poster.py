"""One frame of a finished video as a PNG; pipeline.assemble and the tests call it."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from avatar.encode.atomic import write_bytes
from avatar.errors import InvalidInput
from avatar.media_files import open_media

_HEADER_BYTES = 33
"""The signature and the IHDR chunk, which must come first."""


def frame_at(video: Path, ms: int) -> npt.NDArray[np.uint8]:
    """The frame shown at `ms` (the last one when the video is shorter), uint8 BGR (h, w, 3)."""
    with open_media(video) as container:
        shown = frame_on_show(container, container.streams.video[0], ms)
        if shown is None:
            raise InvalidInput("video.no_frames", f"{video.name} holds no picture.", "Use another video.")
        return np.asarray(shown.to_ndarray(format="bgr24"), dtype=np.uint8)


def frame_on_show(
    container: av.container.InputContainer, stream: av.VideoStream, ms: int
) -> av.VideoFrame | None:
    """The frame shown at `ms`, the last one when the video is shorter; None where there is none."""
    container.seek(ms * 1000, backward=True)
    shown: av.VideoFrame | None = None
    for frame in container.decode(stream):
        if shown is not None and frame.time is not None and frame.time * 1000 > ms:
            break
        shown = frame
    return shown


def write_png(target: Path, picture: npt.NDArray[np.uint8], metadata: dict[str, str]) -> None:
    """`picture` uint8 BGR or BGRA as a PNG that carries `metadata` as text, whole or not at all."""
    done, data = cv2.imencode(".png", picture)
    if not done:
        raise ValueError(f"cannot encode a picture of shape {picture.shape}")
    png = data.tobytes()
    texts = b"".join(_chunk(b"iTXt", f"{key}\0\0\0\0\0{value}".encode()) for key, value in metadata.items())
    write_bytes(target, png[:_HEADER_BYTES] + texts + png[_HEADER_BYTES:])


def _chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk after the PNG specification, section 5.3."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
