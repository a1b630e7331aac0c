"""Pictures as the encoder takes them: BT.709 limited-range 4:2:0 planes; the composer makes them from BGR."""

from __future__ import annotations

import mmap

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace

from avatar.compose.layout import Rect

Pixels = npt.NDArray[np.uint8]


def _bgr_to_ycbcr(kr: float, kb: float) -> npt.NDArray[np.float64]:
    """3 x 4 matrix from full-range BGR to limited-range YCbCr (ITU-R BT.709-6, section 3)."""
    luma = np.array([kb, 1 - kr - kb, kr])
    cb = (np.array([1, 0, 0]) - luma) / (2 * (1 - kb))
    cr = (np.array([0, 0, 1]) - luma) / (2 * (1 - kr))
    scaled = np.stack([luma * 219, cb * 224, cr * 224]) / 255
    return np.hstack([scaled, np.array([[16.0], [128.0], [128.0]])])


def _inverse(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The 3 x 4 matrix that undoes one."""
    turned = np.linalg.inv(matrix[:, :3])
    return np.hstack([turned, -turned @ matrix[:, 3:]])


_BT709 = _bgr_to_ycbcr(kr=0.2126, kb=0.0722)
_BGR_OF_BT709 = _inverse(_BT709)


class Planes:
    """One picture, held in the encoder's own frame: luma uint8 (h, w), chroma uint8 (h/2, w/2) each.

    `y`, `cb` and `cr` are views into `frame`, so what is written to them is encoded without another copy.
    `memory`, of `bytes_of` its size, is where the picture lies if other processes are to see it
    (`can_lie_in`).
    """

    __slots__ = ("cb", "cr", "frame", "painted", "y")

    painted: tuple[Rect, ...]
    """Where it may differ from the picture its composer begins with; at first everywhere."""

    def __init__(self, width: int, height: int, memory: mmap.mmap | None = None) -> None:
        if memory is None:
            self.frame = av.VideoFrame(width, height, "yuv420p")
        else:
            rows = np.frombuffer(memory, np.uint8).reshape(height * 3 // 2, width)
            self.frame = av.VideoFrame.from_numpy_buffer(rows, "yuv420p")
        self.y, self.cb, self.cr = (
            np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[
                :, : plane.width
            ]
            for plane in self.frame.planes
        )
        self.painted = (Rect(0, 0, width, height),)

    @staticmethod
    def can_lie_in(width: int, height: int) -> bool:
        """Returns whether a picture of that size fits such memory: PyAV wraps whole groups of four rows."""
        return width % 2 == 0 and height % 4 == 0

    @staticmethod
    def bytes_of(width: int, height: int) -> int:
        """Of a picture of that size, both even."""
        return width * height * 3 // 2

    @classmethod
    def of(cls, bgr: Pixels) -> Planes:
        """`bgr` uint8 (h, w, 3), h and w even, as planes of its size."""
        height, width = bgr.shape[:2]
        planes = cls(width, height)
        planes.put(Rect(0, 0, width, height), bgr)
        return planes

    def put(self, at: Rect, bgr: Pixels) -> None:
        """Convert `bgr` (at.height, at.width, 3) and write it at `at`, whose sides and corners are even.

        Chroma is the mean of each 2 x 2 block, which lies in its middle: the stream says so (chroma location
        centre).
        """
        mixed = cv2.transform(
            bgr, _BT709
        )  # OpenCV's own BGR to YUV knows BT.601 only, and takes one pixel of four
        cv2.extractChannel(mixed, 0, dst=self.y[at.rows, at.columns])
        half = at.halve()
        for channel, plane in ((1, self.cb), (2, self.cr)):
            full = cv2.extractChannel(mixed, channel)
            size = (half.width, half.height)
            cv2.resize(full, size, dst=plane[half.rows, half.columns], interpolation=cv2.INTER_AREA)

    def get(self, at: Rect) -> Pixels:
        """Returns what is shown at `at`, whose sides and corners are even, as uint8 BGR (h, w, 3)."""
        half = at.halve()
        chroma = [
            cv2.resize(plane[half.rows, half.columns], (at.width, at.height), interpolation=cv2.INTER_LINEAR)
            for plane in (self.cb, self.cr)
        ]
        whole = cv2.merge([np.ascontiguousarray(self.y[at.rows, at.columns]), *chroma])
        return np.asarray(cv2.transform(whole, _BGR_OF_BT709), dtype=np.uint8)

    def copy_from(self, other: Planes, at: Rect | None = None) -> None:
        """Take what `other`, of the same size, shows; `at` may limit it to a place with even sides."""
        at = Rect(0, 0, self.frame.width, self.frame.height) if at is None else at
        half = at.halve()
        np.copyto(self.y[at.rows, at.columns], other.y[at.rows, at.columns])
        np.copyto(self.cb[half.rows, half.columns], other.cb[half.rows, half.columns])
        np.copyto(self.cr[half.rows, half.columns], other.cr[half.rows, half.columns])

    def to_bgr(self) -> Pixels:
        """The picture a player shows, uint8 BGR (h, w, 3)."""
        shown = self.frame.reformat(
            format="bgr24", src_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.JPEG
        )
        return np.asarray(shown.to_ndarray(), dtype=np.uint8)
