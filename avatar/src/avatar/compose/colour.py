"""BGR pictures to BT.709 limited-range 4:2:0, the form every video of ours is encoded in; the composer calls it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from avatar.compose.layout import Rect

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Planes:
    """One 4:2:0 picture: luma uint8 (h, w), chroma uint8 (h/2, w/2) each; h and w are even."""

    y: Pixels
    cb: Pixels
    cr: Pixels

    def put(self, at: Rect, part: Planes) -> None:
        """Write `part` at `at`, in place; `at` has even sides and corners."""
        half = at.halved()
        self.y[at.rows, at.columns] = part.y
        self.cb[half.rows, half.columns] = part.cb
        self.cr[half.rows, half.columns] = part.cr


def _from_601() -> npt.NDArray[np.float64]:
    """Matrix that turns (Y, Cb, Cr) of BT.601 into that of BT.709, both of limited range (ITU-R BT.601-7, BT.709-6)."""

    def forward(kr: float, kb: float) -> npt.NDArray[np.float64]:
        luma = np.array([kr, 1 - kr - kb, kb])
        cb = (np.array([0, 0, 1]) - luma) / (2 * (1 - kb))
        cr = (np.array([1, 0, 0]) - luma) / (2 * (1 - kr))
        return np.stack([luma * 219, cb * 224, cr * 224])

    return forward(0.2126, 0.0722) @ np.linalg.inv(forward(0.299, 0.114))


_M = _from_601()


def to_planes(bgr: Pixels) -> Planes:
    """`bgr` uint8 (h, w, 3 or 4), h and w even, as BT.709 planes; a fourth channel is ignored.

    OpenCV knows BT.601 only, but fast. From there to BT.709 chroma is a 2x2 mix of itself and luma moves by a mix
    of chroma, all in planes a quarter of the size. A player's decode undoes exactly this, as both are linear.
    """
    height, width = bgr.shape[:2]
    code = cv2.COLOR_BGR2YUV_I420 if bgr.shape[2] == 3 else cv2.COLOR_BGRA2YUV_I420
    flat = cv2.cvtColor(bgr, code)
    y = flat[:height]
    chroma = flat[height:].reshape(2, height // 2, width // 2)
    cb, cr = chroma[0], chroma[1]
    m = _M
    shift = cv2.addWeighted(cb, m[0, 1], cr, m[0, 2], 128 * (1 - m[0, 1] - m[0, 2]))
    up = cv2.resize(shift, (width, height), interpolation=cv2.INTER_NEAREST)
    return Planes(
        y=np.asarray(cv2.addWeighted(y, 1, up, 1, -128), dtype=np.uint8),
        cb=np.asarray(cv2.addWeighted(cb, m[1, 1], cr, m[1, 2], 128 * (1 - m[1, 1] - m[1, 2])), dtype=np.uint8),
        cr=np.asarray(cv2.addWeighted(cb, m[2, 1], cr, m[2, 2], 128 * (1 - m[2, 1] - m[2, 2])), dtype=np.uint8),
    )
