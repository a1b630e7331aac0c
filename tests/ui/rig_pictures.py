"""Draws poses with the worker's rig and computes its mouth curves; run in the worker's environment by
`test_face.py`: JSON on standard input, pictures as PNG into a folder, curves as JSON on standard output.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
from avatar.cli.presenters import load_presenter
from avatar.engines.rig import open_rig
from avatar.engines.rig.pose import Pose
from avatar.timing.articulators import mouth_curves
from avatar.timing.style import MotionStyle
from avatar.timing.visemes import name_visemes
from avatar.tracks import CHANNELS, Phone


def main() -> None:
    request = json.load(sys.stdin)
    side, folder = request["side"], Path(request["folder"])
    for name in request["presenters"]:
        face = load_presenter(name).face
        engine = open_rig(face.design or face.character, (side, side), 25, alpha=True)
        for pose, channels in request["poses"].items():
            layer = engine.draw(Pose(dict.fromkeys(CHANNELS, 0.0) | channels))
            picture = np.full((side, side, 3), 128, np.float32)
            height, width = layer.pixels.shape[:2]
            under = picture[layer.y : layer.y + height, layer.x : layer.x + width]
            alpha = layer.pixels[:, :, 3:].astype(np.float32) / 255
            under[:] = layer.pixels[:, :, :3] * alpha + under * (1 - alpha)
            cv2.imwrite(str(folder / f"{name}-{pose}-rig.png"), np.rint(picture).astype(np.uint8))
    phones = [Phone(*one) for one in request["phones"]]
    duration_ms = phones[-1].end_ms
    style = MotionStyle()
    times = (np.arange(np.ceil(duration_ms * 60 / 1000)) + 0.5) / 60 + style.lead_ms / 1000
    curves = mouth_curves(phones, times, np.ones(len(times)), 60, style)
    visemes = [one.model_dump() for one in name_visemes(phones, duration_ms)]
    found = {
        "visemes": visemes,
        "duration_ms": duration_ms,
        "curves": {k: v.tolist() for k, v in curves.items()},
    }
    json.dump(found, sys.stdout)


main()
