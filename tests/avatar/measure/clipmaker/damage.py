"""Clips as they come from the wild: uneven frame times, cut-off files, two people in one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from avatar.judge.video_measures import frames_of

from clipmaker.clip import Clip, write_mp4
from clipmaker.person import load_person
from clipmaker.scene import Stage


def variable_rate(clip: Clip, path: Path) -> Path:
    """The same frames at uneven moments, like a phone in the dark: every fifth one comes 60 ms late."""
    frames = list(frames_of(clip.path))
    times, now = [], 0
    for index in range(len(frames)):
        times.append(now)
        now += 20 + (60 if index % 5 == 4 else 0) + 7 * (index % 2)
    write_mp4(path, iter(frames), clip.fps, times)
    return path


def truncate(clip: Clip, path: Path, share: float = 0.6) -> Path:
    """The first bytes of the file, as a broken upload leaves them; the index lies in front, so it opens."""
    data = clip.path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def two_faces(path: Path, *, size: tuple[int, int] = (854, 480), seconds: float = 2.0, fps: int = 25) -> Path:
    """A larger person on the left; a smaller one on the right comes nearer until she is the larger."""
    left = Stage(load_person("grace_hopper", 84), size, centre_x=0.28)
    right = Stage(load_person("astronaut", 62), size, centre_x=0.74, room_pixels=left.background)
    count = round(seconds * fps)

    def one(index: int) -> np.ndarray:
        progress = index / count
        picture = left.draw(left.person.pixels, yaw=4 * np.sin(6 * progress))
        nearer = 1 + 0.6 * progress
        return right.draw(
            right.person.pixels,
            yaw=-3 * np.sin(6 * progress),
            zoom=nearer,
            shift=(-0.24 * size[0] * (nearer - 1), -0.1 * size[1] * (nearer - 1)),
            onto=picture,
        )

    write_mp4(path, (one(index) for index in range(count)), fps)
    return path
