"""The dark line along which shut lips meet, for lips that were apart in the picture; for the mouth model.

Lips that are pulled together in a picture meet without a shadow: they look like one strip of skin, to people
and to face trackers alike.
"""

from __future__ import annotations

import numpy as np

from avatar.engines.mesh.axes import Floats
from avatar.engines.mesh.lips import MouthShape
from avatar.face.landmarks import Picture

_DEPTH, _WIDTH_E, _GONE_E = 0.6, 0.008, 0.03
_FULL_FROM_GAP_E = 0.04
_WARM = (1.0, 0.97, 0.78)  # a shadow between lips takes blue and green first


def draw_lip_line(patch: Picture, shape: MouthShape, u: Floats, upper_row: Floats, lower_row: Floats) -> None:
    """Darken `patch` (h, w, 3) BGR in place between the lip edges `upper_row` and `lower_row`, float32 (w,).

    u: place of each column in the axes of `shape`. Where the lips are apart, and for a mouth that was shut in
    the picture, nothing is drawn.
    """
    unit = shape.axes.unit_px
    depth = _DEPTH * float(np.clip(shape.rest_gap / _FULL_FROM_GAP_E, 0, 1))
    across = np.clip(1 - ((u - shape.centre) / shape.half_width) ** 4, 0, 1)
    dark = depth * across * np.clip(1 - (lower_row - upper_row) / (_GONE_E * unit), 0, 1)
    columns = np.flatnonzero(dark > 0.03)
    if not len(columns):
        return
    first, last = int(columns[0]), int(columns[-1]) + 1
    middle = (upper_row + lower_row)[first:last] / 2
    reach = 3 * _WIDTH_E * unit
    top, bottom = max(0, int(middle.min() - reach)), min(patch.shape[0], int(middle.max() + reach) + 1)
    rows = np.arange(top, bottom, dtype=np.float32)[:, None]
    line = np.exp(-0.5 * ((rows - middle) / max(0.6, _WIDTH_E * unit)) ** 2) * dark[first:last]
    view = patch[top:bottom, first:last]
    view[:] = (view * (1 - line[..., None] * np.array(_WARM, np.float32))).astype(np.uint8)
