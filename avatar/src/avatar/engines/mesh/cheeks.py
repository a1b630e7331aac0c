"""Light and shade on cheeks and chin that come and go with the mouth; painted by the photo engine.

A warp moves skin and keeps its light. On a real face a dropping jaw hollows the cheeks, spread lips fill
them and deepen the fold beside the nose, pouted ones draw them in beside the corners.
"""

from __future__ import annotations

import cv2
import numpy as np

from avatar.engines.mesh.axes import Floats, smoothstep
from avatar.engines.mesh.lips import MouthShape
from avatar.engines.mesh.mouth_fields import MouthPose
from avatar.engines.mesh.region import Region
from avatar.face.landmarks import Picture

_ONE = 200
"""Of the eight bits a factor has, the value of 1.0: steps of half a percent, up to 1.27."""
_GRID_PX = 4
_HOLLOW, _FILLED, _FOLD, _DRAWN_IN, _CHIN = 0.10, 0.05, 0.09, 0.09, 0.06
_LEAST = 0.004


class CheekShade:
    """The shades of one face, in the mouth's region of its picture.

    `paint` changes nothing of itself and may run in several threads. At the border of the region, at the
    lips and between them every factor is exactly 1.
    """

    def __init__(self, shape: MouthShape, region: Region, top_v: float) -> None:
        self._size = (region.width, region.height)
        columns = (np.arange(max(2, region.width // _GRID_PX), dtype=np.float32) + 0.5) * _GRID_PX
        rows = (np.arange(max(2, region.height // _GRID_PX), dtype=np.float32) + 0.5) * _GRID_PX
        x, y = np.meshgrid(columns + np.float32(region.x), rows + np.float32(region.y))
        uv = shape.axes.to_local(np.stack([x, y], axis=-1))
        side, v = np.abs(uv[..., 0] - np.float32(shape.centre)), uv[..., 1]
        half, chin, nose = shape.half_width, shape.chin_v, shape.nose_v
        within = smoothstep(top_v, top_v + 0.22, v) * (1 - smoothstep(0.62, 0.84, side))
        within = within * (1 - smoothstep(chin - 0.02, chin + 0.12, v))
        lips = np.exp(-((side / (half * 1.15)) ** 6) - (np.abs(v) / 0.16) ** 4)

        def spot(u_at: float, v_at: float, u_size: float, v_size: float) -> Floats:
            return np.asarray(
                np.exp(-(((side - u_at) / u_size) ** 2) - ((v - v_at) / v_size) ** 2), np.float32
            )

        # The fold runs from the wing of the nose to beside the corner of the mouth.
        along = np.clip((v - nose) / max(0.05, -nose), 0, 1.2)
        fold_u = 0.20 + (half + 0.10 - 0.20) * along
        fold = np.exp(-(((side - fold_u) / 0.035) ** 2)) * smoothstep(nose - 0.06, nose + 0.06, v)
        fold = fold * (1 - smoothstep(-0.02, 0.10, v))
        jaw = -_HOLLOW * spot(half + 0.20, 0.10, 0.13, 0.24) - _CHIN * spot(0.0, 0.62 * chin, 0.2, 0.07)
        spread = _FILLED * spot(half + 0.22, -0.22, 0.16, 0.14) - _FOLD * fold
        pucker = -_DRAWN_IN * (spot(half + 0.03, 0.02, 0.07, 0.12) + 0.5 * spot(half + 0.22, 0.06, 0.10, 0.2))
        shades = [part * within * (1 - lips) for part in (jaw, spread, pucker)]
        self._shades = np.stack(shades).astype(np.float32)

    def paint(self, patch: Picture, pose: MouthPose) -> Picture:
        """`patch` (region.height, region.width, 3) BGR in the light of this pose."""
        weights = np.array([pose.jaw, max(0.0, pose.wide), pose.pucker], np.float32)
        if float(np.abs(weights).max()) * _HOLLOW < _LEAST:
            return patch
        factor = 1 + np.einsum("k,kyx->yx", weights, self._shades)
        small = np.rint(factor * _ONE).clip(0, 255).astype(np.float32)
        whole = cv2.resize(small, self._size, interpolation=cv2.INTER_LINEAR)
        gain = cv2.cvtColor(np.rint(whole).astype(np.uint8), cv2.COLOR_GRAY2BGR)
        return np.asarray(cv2.multiply(patch, gain, scale=1 / _ONE), np.uint8)
