"""Pictures with straight alpha laid over opaque ones; the composer and the overlays call it."""

from __future__ import annotations

import cv2
import numpy as np

from avatar.compose.colour import Pixels


def over(target: Pixels, source: Pixels, opacity: float = 1.0) -> None:
    """Lay `source` (h, w, 3 or 4) over `target` (h, w, 3) of the same size, in place (Porter-Duff "over")."""
    if source.shape[2] == 3:
        if opacity >= 1.0:
            target[...] = source
        else:
            cv2.addWeighted(source, opacity, target, 1 - opacity, 0, dst=target)
        return
    alpha = source[..., 3].astype(np.float32) * (opacity / 255)
    target[...] = cv2.blendLinear(np.ascontiguousarray(source[..., :3]), np.ascontiguousarray(target), alpha, 1 - alpha)
