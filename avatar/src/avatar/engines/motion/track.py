"""Landmarks of the person at every step of the footage, measured once and kept on disk in blocks.

With all blocks in the cache no tracker is opened: a second render needs no MediaPipe.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import av
import numpy as np
import numpy.typing as npt

from avatar.engines.base import Pixels
from avatar.engines.motion.appearance import PLACES, sample
from avatar.engines.motion.footage import Footage, FrameReader, FrameTable
from avatar.engines.motion.framing import upright_bgr
from avatar.face.follow import FaceFollower, Place
from avatar.face.landmarks import POINT_COUNT, Points
from avatar.face.tracker import FaceTracker

BLOCK = 256
_LONGEST_PX = 1280
_FORMAT = 3

Found = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Block:
    """points: float32 (n, 478, 3) in pixels of the upright source; colours: float32 (n, places, 3), see
    `appearance.sample`. Both NaN where the face was not found.
    """

    points: Points
    colours: Floats
    last: Place | None

    @property
    def found(self) -> Found:
        return np.asarray(np.isfinite(self.points[:, 0, 0]))


class TrackCache:
    """Blocks of one video, range and person in a folder. A block appears whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, number: int) -> Block | None:
        path = self._path(number)
        try:
            with np.load(path, allow_pickle=False) as stored:
                last = stored["last"]
                return Block(
                    stored["points"], stored["colours"], Place(*map(float, last)) if len(last) else None
                )
        except (OSError, ValueError, KeyError, BadZipFile):
            return None

    def save(self, number: int, block: Block) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        last = [] if block.last is None else [block.last.x, block.last.y, block.last.height]
        with tempfile.NamedTemporaryFile(dir=self._folder, suffix=".part", delete=False) as part:
            np.savez(part, points=block.points, colours=block.colours, last=np.array(last))
        Path(part.name).replace(self._path(number))

    def _path(self, number: int) -> Path:
        return self._folder / f"block-{number:05d}.npz"


class FaceTrack:
    """The face at every step; blocks are read as they are needed, a few stay in memory."""

    def __init__(self, cache: TrackCache, steps: int) -> None:
        self._cache, self.steps = cache, steps
        self._recent: dict[int, Block] = {}

    def raw(self, first: int, last: int) -> Points:
        """Measured landmarks of steps first..last-1, float32 (n, 478, 3), NaN where lost."""
        return np.concatenate([block.points[part] for block, part in self._parts(first, last)])

    def colours(self, first: int, last: int) -> Floats:
        """Colours of the lower face, float32 (n, places, 3), NaN where lost."""
        return np.concatenate([block.colours[part] for block, part in self._parts(first, last)])

    def blocks(self) -> Iterator[tuple[int, Block]]:
        """(first step, block) of all blocks in order."""
        for number in range((self.steps + BLOCK - 1) // BLOCK):
            yield number * BLOCK, self._block(number)

    def _parts(self, first: int, last: int) -> Iterator[tuple[Block, slice]]:
        for number in range(first // BLOCK, (last - 1) // BLOCK + 1):
            begin = number * BLOCK
            yield self._block(number), slice(max(0, first - begin), last - begin)

    def _block(self, number: int) -> Block:
        if number not in self._recent:
            block = self._cache.load(number)
            if block is None:
                raise FileNotFoundError(
                    f"block {number} of the face track left the cache while it was in use"
                )
            while len(self._recent) >= 4:
                self._recent.pop(next(iter(self._recent)))
            self._recent[number] = block
        return self._recent[number]


def measure_track(
    footage: Footage,
    table: FrameTable,
    frames: npt.NDArray[np.int64],
    face_index: int | None,
    cache: TrackCache,
    open_tracker: Callable[[], FaceTracker],
) -> FaceTrack:
    """Fill the cache for `frames` (the frame number of each step) and give the track.

    `open_tracker` is called only when a block is missing.
    """
    steps = len(frames)
    last: Place | None = None
    tracker: FaceTracker | None = None
    try:
        for number in range((steps + BLOCK - 1) // BLOCK):
            block_frames = frames[number * BLOCK : (number + 1) * BLOCK]
            block = cache.load(number)
            if block is None or len(block.points) < len(block_frames):
                tracker = tracker or open_tracker()
                block = _measure_block(footage, table, block_frames, FaceFollower(tracker, face_index, last))
                cache.save(number, block)
            last = block.last
    finally:
        if tracker is not None:
            with closing(tracker):
                pass
    return FaceTrack(cache, steps)


def _measure_block(
    footage: Footage, table: FrameTable, frames: npt.NDArray[np.int64], follower: FaceFollower
) -> Block:
    def small(frame: av.VideoFrame) -> Pixels:
        return upright_bgr(frame, footage.turns, _LONGEST_PX)

    points = np.full((len(frames), POINT_COUNT, 3), np.nan, dtype=np.float32)
    colours = np.full((len(frames), len(PLACES), 3), np.nan, dtype=np.float32)
    reader = FrameReader(footage, table, small, held=2)
    for index, picture in enumerate(reader.read(frames.tolist())):
        if index and frames[index] == frames[index - 1]:
            points[index], colours[index] = points[index - 1], colours[index - 1]
            continue
        found = follower.next(picture)
        if found is not None:
            colours[index] = sample(picture, found.points)
            points[index] = found.points * np.float32(footage.width / picture.shape[1])
    return Block(points, colours, follower.last)


def cache_key(content: str, start_ms: int, fps: int, face_index: int | None) -> str:
    """Folder name for a video's track; `content` is the hash of the file."""
    facts = {"format": _FORMAT, "video": content, "start_ms": start_ms, "fps": fps, "face": face_index}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]
