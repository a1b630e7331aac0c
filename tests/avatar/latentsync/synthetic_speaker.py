"""A drawn speaker in front of a wall, whom a tracker of coloured dots can follow, and files of both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from avatar.face.landmarks import (
    LEFT_BROW,
    LEFT_EYE_OUTER,
    POINT_COUNT,
    RIGHT_BROW,
    RIGHT_EYE_OUTER,
    FaceLandmarks,
)
from avatar.face.layouts import NOSE_ANCHOR, layout_of

Pixels = npt.NDArray[np.uint8]
SIZE = (192, 160)
DOTS = {"left": (255, 40, 40), "right": (40, 255, 40), "nose": (40, 40, 255)}
"""BGR of what marks the two brows and the nose."""
GAP_PX = 6
"""Its lips are apart in every frame, as they are drawn."""


def speaker(index: int, *, hidden: bool = False) -> Pixels:
    """Frame `index` of a head that sways in front of a patterned wall; `hidden` leaves the head out."""
    width, height = SIZE
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    wall = 128 + 40 * np.sin(x / 9) + 40 * np.cos(y / 11)
    picture = np.repeat(wall[:, :, None], 3, axis=2).astype(np.uint8)
    if hidden:
        return picture
    middle = (round(96 + 14 * np.sin(index / 6)), round(80 + 6 * np.cos(index / 8)))
    cv2.ellipse(picture, middle, (38, 52), 0, 0, 360, (150, 170, 200), -1)
    cv2.ellipse(picture, (middle[0], middle[1] + 26), (14, 4 + index % 5), 0, 0, 360, (60, 50, 120), -1)
    for name, (dx, dy) in {"left": (-18, -18), "right": (18, -18), "nose": (0, 4)}.items():
        cv2.circle(picture, (middle[0] + dx, middle[1] + dy), 5, DOTS[name], -1)
    return picture


class DotTracker:
    """Finds the synthetic speaker by the dots; a real tracker's place in the engine."""

    def track(self, image_bgr: Pixels) -> list[FaceLandmarks]:
        places = {}
        for name, colour in DOTS.items():
            near = np.abs(image_bgr.astype(int) - colour).max(axis=2) < 90
            if near.sum() < 12:
                return []
            rows, columns = np.nonzero(near)
            places[name] = (columns.mean(), rows.mean())
        points = np.full((POINT_COUNT, 3), np.nan, np.float32)
        middle = np.mean(list(places.values()), axis=0)
        points[:, :2], points[:, 2] = middle, 0
        for group, name in ((LEFT_BROW, "left"), (RIGHT_BROW, "right"), (NOSE_ANCHOR, "nose")):
            points[list(group), :2] = places[name]
        points[LEFT_EYE_OUTER, :2], points[RIGHT_EYE_OUTER, :2] = places["left"], places["right"]
        corners, lips = list(layout_of(points).lips[2:]), list(layout_of(points).lips[:2])
        points[corners, 0] += (-12, 12)
        points[lips, 1] += (-GAP_PX / 2, GAP_PX / 2)
        return [FaceLandmarks(points, 0.9)]

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Clips:
    """Makes files in the test's folder."""

    folder: Path

    def video(self, frames: int, hidden: range = range(0), name: str = "in.mp4") -> Path:
        path = self.folder / name
        with av.open(str(path), "w") as container:
            stream: Any = container.add_stream(
                "libx264", rate=25, options={"crf": "10", "preset": "ultrafast"}
            )
            stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
            for index in range(frames):
                picture = speaker(index, hidden=index in hidden)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
            container.mux(stream.encode(None))
        return path

    def sound(self, seconds: float, rate: int = 22_050, name: str = "speech.wav") -> Path:
        """Two syllables a second, the last third silent."""
        path = self.folder / name
        at = np.arange(int(seconds * rate)) / rate
        voice = np.sin(2 * np.pi * 170 * at) * (0.5 + 0.5 * np.sin(2 * np.pi * 2 * at))
        voice[len(voice) * 2 // 3 :] = 0
        with av.open(str(path), "w", format="wav") as container:
            stream: Any = container.add_stream("pcm_s16le", rate=rate, layout="mono")
            frame = av.AudioFrame.from_ndarray((voice * 12_000).astype(np.int16)[None], layout="mono")
            frame.sample_rate = rate
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path
