"""Videos as the engine takes them: upright pictures at a steady rate, and what faces in them do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from avatar.engines.ahead import ahead, room_for
from avatar.engines.liveportrait.animator import Animator, Pixels
from avatar.engines.liveportrait.paste import Matrix, cut, shrunk
from avatar.engines.liveportrait.poses import DrivingFace, Openings
from avatar.engines.liveportrait.reenactment import chunks, openings_of
from avatar.engines.motion.footage import Footage, FrameReader, FrameTable
from avatar.engines.motion.framing import upright_bgr
from avatar.engines.motion.timeline import frames_of_steps
from avatar.errors import InvalidInput
from avatar.face.anchors import CropFrame, liveportrait_crop
from avatar.face.follow import NARROW_SHARE, FaceFollower
from avatar.face.landmarks import Points
from avatar.face.tracker import FaceTracker

DRIVING_SCALE, DRIVING_LIFT = 2.2, -0.1
LEAST_FPS, MOST_FPS = 10, 60
MAX_FRAMES = 500_000


class Film:
    """The frames of a video file, as often as asked for."""

    def __init__(self, path: Path, name: str, fps: int | None = None) -> None:
        """`fps`: resample to it; None keeps the video's own, rounded. Raises `video.*`."""
        self.footage = Footage.open(path, name)
        self.name = name
        self._table: FrameTable = self.footage.table(0, None)
        usual = round(1000 / self._table.frame_ms()) if len(self._table) else 25
        self.fps = fps or min(MOST_FPS, max(LEAST_FPS, usual))
        self._order = frames_of_steps(self._table, 0, self.fps, limit=MAX_FRAMES)
        if not len(self._order):
            raise InvalidInput("video.no_frames", f"{name} holds no picture.", "Use another video.")

    def __len__(self) -> int:
        return len(self._order)

    def pictures(self) -> Iterator[Pixels]:
        """uint8 BGR (h, w, 3), upright."""
        reader: FrameReader[Pixels] = FrameReader(self.footage, self._table, self._picture, 4)
        return reader.read(self._order.tolist())

    def track(self, tracker: FaceTracker, index: int | None) -> Iterator[tuple[Pixels, Points | None]]:
        """Every picture with the landmarks of the chosen face: number `index` from the left in the first
        picture with so many (None: the largest), followed as `FaceFollower` does.
        """
        return follow_faces(self.decode_ahead(), tracker, index)

    def decode_ahead(self) -> Iterator[Pixels]:
        """As `pictures`, decoded in a thread of its own a few frames before they are asked for."""
        with ahead(self.pictures, room_for(self.footage.width * self.footage.height)) as pictures:
            yield from pictures

    def _picture(self, frame: av.VideoFrame) -> Pixels:
        return upright_bgr(frame, self.footage.turns)


def follow_faces(
    pictures: Iterable[Pixels], tracker: FaceTracker, index: int | None
) -> Iterator[tuple[Pixels, Points | None]]:
    """See `Film.track`."""
    follower = FaceFollower(tracker, index, close_below=NARROW_SHARE)
    for picture in pictures:
        found = follower.next(picture)
        yield picture, None if found is None else found.points


@dataclass(frozen=True, slots=True)
class DrivingFilm:
    """A driving video, watched once: where its face is on average, and how far eyes and lips are open."""

    film: Film
    frame: CropFrame
    found: npt.NDArray[np.int64]
    """For each frame, the nearest earlier one in which the face was seen (at the start: the next)."""
    openings: npt.NDArray[np.float64]
    """(frames, 3): both eyes and the lips; numbers in one array, as half an hour has 45 000 frames."""

    @classmethod
    def watch(cls, film: Film, tracker: FaceTracker, check: Callable[[], None]) -> DrivingFilm:
        """One pass over the video, keeping a few numbers a frame. Raises `face.not_found`."""
        places, openings = np.zeros((len(film), 3)), np.zeros((len(film), 3))
        seen = np.full(len(film), -1, np.int64)
        for number, (_, points) in enumerate(film.track(tracker, None)):
            check()
            if points is None:
                continue
            crop = liveportrait_crop(points, scale=DRIVING_SCALE, lift=DRIVING_LIFT)
            places[number] = *crop.centre, crop.side
            opened = openings_of(points)
            openings[number] = *opened.eyes, opened.lips
            seen[number] = number
        if not (seen >= 0).any():
            raise InvalidInput(
                "face.not_found",
                f"No face was found in {film.name}.",
                "Drive with a video of one person who looks into the camera.",
            )
        found = np.maximum.accumulate(seen)
        found[found < 0] = seen[seen >= 0][0]
        x, y, side = np.mean(places[seen >= 0], axis=0)
        # As published: one box for the whole clip, not turned, so that the head's own motion stays in it.
        return cls(film, CropFrame((float(x), float(y)), float(side), 0.0), found, openings)

    @property
    def lost(self) -> list[int]:
        """Frames without a face: the one before is held."""
        return np.flatnonzero(self.found != np.arange(len(self.found))).tolist()

    def faces(self, animator: Animator, batch: int) -> Iterator[DrivingFace]:
        """Yields the motion and the openings of the face in every frame."""
        side = animator.networks.sizes.output_px
        matrix: Matrix = self.frame.matrix(side)
        faces: dict[int, DrivingFace] = {}
        emitted = 0
        for chunk in chunks(self._seen(), batch):
            crops = [shrunk(cut(picture, matrix, side), animator.side_px) for _, picture in chunk]
            for (number, _), motion in zip(chunk, animator.motions(crops), strict=True):
                *eyes, lips = self.openings[number]
                faces[number] = DrivingFace(motion, Openings(np.array(eyes, np.float32), float(lips)))
            while emitted < len(self.found) and int(self.found[emitted]) in faces:
                face = faces[int(self.found[emitted])]
                for old in [number for number in faces if number < int(self.found[emitted])]:
                    del faces[old]
                yield face
                emitted += 1

    def _seen(self) -> Iterator[tuple[int, Pixels]]:
        for number, picture in enumerate(self.film.decode_ahead()):
            if self.found[number] == number:
                yield number, picture


def face_of_picture(picture: Pixels, points: Points, animator: Animator) -> DrivingFace:
    """The face of a driving picture (h, w, 3 BGR), cut out as that of a driving video is."""
    side = animator.networks.sizes.output_px
    crop = liveportrait_crop(points, scale=DRIVING_SCALE, lift=DRIVING_LIFT)
    matrix = CropFrame(crop.centre, crop.side, 0.0).matrix(side)
    motion = animator.motions([shrunk(cut(picture, matrix, side), animator.side_px)])[0]
    return DrivingFace(motion, openings_of(points))
