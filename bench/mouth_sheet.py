"""Pictures of a mouth close up, for judging with one's own eyes. Used by `look.py`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from avatar.judge.mouth_measures import Pixels
from avatar.judge.video_measures import Observation
from avatar.timing.visemes import visemes
from avatar.tracks import Phone

_TILE, _COLUMNS = 200, 10


def write_mouth_sheet(
    frames: Sequence[Pixels], seen: Observation, phones: Sequence[Phone], fps: int, target: Path
) -> None:
    """Writes mouths close up: one of each shape with its name, then the frames of the largest step."""
    shown: dict[str, int] = {}
    for phone in phones:
        at = int((phone.start_ms + phone.end_ms) / 2000 * fps)
        name = " ".join(viseme.name for viseme in visemes(phone.ipa)[:1]) or "rest"
        if name not in shown and at < seen.frames and seen.seen[at]:
            shown[name] = at
    step = int(np.argmax(np.nan_to_num(np.abs(np.diff(seen.aperture)))))
    around = range(max(0, step - 4), min(seen.frames, step + 6))
    tiles = [_tile(frames[at], seen.landmarks[at], name) for name, at in sorted(shown.items())]
    tiles += [np.zeros((_TILE, _TILE, 3), np.uint8)] * (-len(tiles) % _COLUMNS)
    tiles += [_tile(frames[at], seen.landmarks[at], f"{at / fps:.2f} s") for at in around]
    tiles += [np.zeros((_TILE, _TILE, 3), np.uint8)] * (-len(tiles) % _COLUMNS)
    rows = [np.hstack(tiles[first : first + _COLUMNS]) for first in range(0, len(tiles), _COLUMNS)]
    cv2.imwrite(str(target), np.vstack(rows))


def _tile(frame: Pixels, points: npt.NDArray[np.float32], label: str) -> Pixels:
    tile = np.zeros((_TILE, _TILE, 3), np.uint8)
    if np.isfinite(points[0, 0]):
        half = int(0.5 * np.linalg.norm(points[263, :2] - points[33, :2]))
        x, y = (int(value) for value in points[13, :2])
        cut = frame[max(0, y - half) : y + half, max(0, x - half) : x + half]
        tile = np.asarray(cv2.resize(cut, (_TILE, _TILE), interpolation=cv2.INTER_CUBIC), np.uint8)
    cv2.rectangle(tile, (0, _TILE - 22), (_TILE, _TILE), (27, 22, 17), -1)
    cv2.putText(tile, label, (6, _TILE - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (242, 238, 232), 1, cv2.LINE_AA)
    return np.asarray(tile, np.uint8)
