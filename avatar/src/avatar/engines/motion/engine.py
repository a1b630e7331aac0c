"""The engine itself: footage in order, the mouth of every frame drawn from the control track."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from avatar.engines.base import EngineInfo, EngineReport, Layer, Pixels
from avatar.engines.mesh.interior import MouthInterior
from avatar.engines.mesh.mouth_fields import MouthPose
from avatar.engines.motion.appearance import Likeness, sample
from avatar.engines.motion.cutout import Cutout
from avatar.engines.motion.footage import Footage, FrameReader, FrameTable
from avatar.engines.motion.framing import Framing
from avatar.engines.motion.mouth import CachedMouth, MouthCache, VideoMouth
from avatar.engines.motion.steady import MARGIN, Steady, steady
from avatar.engines.motion.survey import Survey, ranges
from avatar.engines.motion.teeth import MAX_GAP_E, MIN_GAP_E, own_upper_teeth
from avatar.engines.motion.timeline import frames_of_steps, lay_out
from avatar.engines.motion.track import BLOCK, FaceTrack, TrackCache, cache_key, measure_track
from avatar.errors import InvalidInput
from avatar.face.landmarks import Points
from avatar.face.tracker import open_tracker
from avatar.spec import Notice, VideoFace
from avatar.spec.base import sha256_of
from avatar.tracks import ControlTrack

INFO = EngineInfo(
    name="motion",
    version="1",
    licence="Apache-2.0",
    inputs=("video", "control track"),
    outputs=("frames",),
    whole_picture=True,
)

_HELD_BYTES = 96 << 20
"""Frames kept in memory while footage plays backwards."""
_MIN_STRENGTH = 0.02


@dataclass(frozen=True, slots=True)
class MotionItem:
    """One frame to draw. picture: BGR of the engine's size; mask: alpha of the person, or None."""

    picture: Pixels
    points: Points | None
    strength: float
    pose: MouthPose
    mask: Pixels | None


class MotionEngine:
    """A `FaceEngine` over a person's own video."""

    def __init__(
        self, face: VideoFace, footage: Footage, name: str, size: tuple[int, int], cache: Path, alpha: bool
    ) -> None:
        self.info = INFO
        self.size = size
        self.base: Pixels | None = None
        self._face, self._footage, self._name, self._cache = face, footage, name, cache
        self._cutout = Cutout() if alpha else None
        self._interior: MouthInterior | None = None
        self._shut_chin_e = 1.0
        self._report = EngineReport()
        if footage.high_dynamic_range:
            self._warn(
                "video.hdr", f"{name} is HDR footage; its colours may look pale. Export it as SDR if so."
            )

    @cached_property
    def _content(self) -> str:
        """Hash of the video's file, read once."""
        return self._face.video.sha256 or sha256_of(self._footage.path)

    def items(self, track: ControlTrack) -> Iterator[MotionItem]:
        """Tracks the footage first (once per video: the result is cached), then decodes it in playing order.

        Raises `face.not_found` and `video.no_frames`.
        """
        table, frames = self._choose_frames(track)
        faces = self._follow(table, frames, track.fps)
        survey = Survey.of(faces)
        if survey.likeness is None:
            raise _no_face(self._name, self._face.face_index)
        self._shut_chin_e = survey.shut_chin_e()
        order = lay_out(self._face.fit, len(frames), track.frames, track.fps, survey.restless)
        framing = Framing.cover(self._footage, self.size, survey.usual_centre())
        self._note_losses(survey, order)
        held = max(4, _HELD_BYTES // (self.size[0] * self.size[1] * 3))
        reader = FrameReader(self._footage, table, framing.picture, held)
        self._interior = self._appearance(reader, frames, framing, faces, survey, track.fps)
        window = _SteadyWindow(faces, survey.likeness, track.fps)
        for index, picture in enumerate(reader.read(frames[order].tolist())):
            step = int(order[index])
            points, strength = window.at(step)
            points = None if points is None else framing.points(points)
            if points is not None and strength > 0 and not survey.found[step]:
                # Nobody was seen here: the old place is drawn on only if it still looks like the person.
                strength *= float(survey.likeness.visible(sample(picture, points)[None])[0])
            yield MotionItem(
                picture=picture,
                points=points,
                strength=strength,
                pose=MouthPose.of(track.at(index)),
                mask=None if self._cutout is None else self._cutout.mask(picture),
            )
        if reader.missing:
            self._warn(
                "video.damaged",
                f"{reader.missing} frames of {self._name} did not decode; neighbours stand in.",
            )

    def draw(self, item: MotionItem) -> Layer:
        """The source frame with the new mouth; see `FaceEngine.draw`."""
        picture = item.picture
        if item.points is not None and item.strength > _MIN_STRENGTH and self._interior is not None:
            mouth = VideoMouth.of_frame(picture, item.points, self._interior)
            if mouth is not None:
                picture = picture.copy()
                mouth.draw_over(picture, item.pose, item.strength, self._shut_chin_e)
        if item.mask is None:
            return Layer(picture)
        return Layer(np.dstack([picture, item.mask]))

    def report(self) -> EngineReport:
        return self._report

    def close(self) -> None:
        if self._cutout is not None:
            self._cutout.close()

    def _choose_frames(self, track: ControlTrack) -> tuple[FrameTable, npt.NDArray[np.int64]]:
        """The frame table of the chosen range, as far as the speech needs it, and the frame of each step."""
        start, end = self._face.start_ms, self._face.end_ms
        if end is not None and end <= start:
            raise InvalidInput(
                "video.empty_range",
                f"The chosen part of {self._name} ends at {end} ms, before it begins at {start} ms.",
                "Choose an end after the start.",
            )
        # A little more than the speech lasts: rates are rounded, and only the real end may look like one.
        needed = start + track.frames * 1000 / track.fps * 1.06 + 200
        table = self._footage.table(start, needed if end is None else min(float(end), needed))
        frames = frames_of_steps(table, start, track.fps, limit=track.frames)
        if not len(frames) and start == 0:
            raise InvalidInput(
                "video.no_timestamps",
                f"{self._name} does not say when its frames show.",
                "Put it into a container first: ffmpeg -i FILE -c copy FILE.mp4",
            )
        if not len(frames):
            raise InvalidInput(
                "video.empty_range",
                f"{self._name} has no frame at or after {start} ms.",
                "Choose a start within the length of the video.",
            )
        if not table.complete:
            self._warn(
                "video.truncated",
                f"{self._name} breaks off after {table.times_ms[-1] / 1000:.1f} s; what decodes is used.",
            )
        return table, frames

    def _follow(self, table: FrameTable, frames: npt.NDArray[np.int64], fps: int) -> FaceTrack:
        return measure_track(
            self._footage,
            table,
            frames,
            self._face.face_index,
            TrackCache(self._track_folder(fps)),
            open_tracker,
        )

    def _track_folder(self, fps: int) -> Path:
        """Returns where all that was measured in this video lies."""
        key = cache_key(self._content, self._face.start_ms, fps, self._face.face_index)
        return self._cache / "motion" / key

    def _appearance(
        self,
        reader: FrameReader[Pixels],
        frames: npt.NDArray[np.int64],
        framing: Framing,
        faces: FaceTrack,
        survey: Survey,
        fps: int,
    ) -> MouthInterior:
        """Colours from the clearest frame and, if they show anywhere, the person's own teeth.

        One for the whole clip, as they must not flicker, and kept for the next render of it.
        """

        def look(step: int) -> tuple[Pixels, Points]:
            return next(reader.read([int(frames[step])])), framing.points(faces.raw(step, step + 1)[0])

        clearest, toothy = survey.clearest(), survey.toothy(MIN_GAP_E, MAX_GAP_E, count=3)
        cache = MouthCache(
            self._track_folder(fps),
            {"framing": asdict(framing), "frames": [int(frames[step]) for step in (clearest, *toothy)]},
        )
        mouth = cache.load()
        if mouth is None:
            mouth = CachedMouth(MouthInterior.from_picture(*look(clearest)), None)
            for step in toothy:
                upper = own_upper_teeth(*look(step))
                if upper is not None:
                    mouth = CachedMouth(replace(mouth.interior, upper=upper), step)
                    break
            cache.save(mouth)
        if mouth.teeth_from_step is not None:
            self._report.facts["own_teeth_from_step"] = mouth.teeth_from_step
        return mouth.interior

    def _note_losses(self, survey: Survey, order: npt.NDArray[np.int64]) -> None:
        lost = ranges(~survey.found[order])
        self._report.lost_face_frames = lost
        share = float(np.mean(~survey.found[order]))
        self._report.facts |= {
            "footage_steps": len(survey.found),
            "face_found_share": round(1 - share, 4),
            "largest_yaw_deg": round(float(np.nanmax(np.abs(survey.yaw_deg))), 1),
        }
        if share > 0.2:
            self._warn(
                "face.often_lost", f"The face of {self._name} is not seen in {share:.0%} of the frames."
            )
        if float(np.nanmedian(survey.size)) * self.size[1] / self._footage.height < 40:
            self._warn(
                "face.small", f"The face in {self._name} is small; its mouth will look soft. Film closer."
            )

    def _warn(self, code: str, message: str) -> None:
        self._report.notices.append(Notice(code=code, message=message))


class _SteadyWindow:
    """Steadied landmarks of any step; one block with its margins is kept."""

    def __init__(self, faces: FaceTrack, likeness: Likeness, fps: int) -> None:
        self._faces, self._likeness, self._fps = faces, likeness, fps
        self._blocks: dict[int, tuple[int, Steady | None]] = {}

    def at(self, step: int) -> tuple[Points | None, float]:
        """(landmarks in source pixels or None, strength)."""
        number = step // BLOCK
        if number not in self._blocks:
            first = max(0, number * BLOCK - MARGIN)
            last = min(self._faces.steps, (number + 1) * BLOCK + MARGIN)
            while len(self._blocks) >= 2:
                self._blocks.pop(next(iter(self._blocks)))
            visible = self._likeness.visible(self._faces.colours(first, last))
            self._blocks[number] = (first, steady(self._faces.raw(first, last), visible, self._fps))
        first, stretch = self._blocks[number]
        if stretch is None:
            return None, 0.0
        return stretch.points[step - first], float(stretch.strength[step - first])


def open_motion(
    face: VideoFace,
    size: tuple[int, int],
    fps: int,
    *,
    resolve: Callable[..., Path],
    cache: Path,
    alpha: bool,
) -> MotionEngine:
    """The engine for a person's own video, drawing pictures of `size` (width, height).

    cache: folder for face tracks, shared by all renders. Raises `video.unreadable`, `video.no_frames`.
    """
    path = resolve(face.video)
    name = face.video.name or path.name
    return MotionEngine(face, Footage.open(path, name), name, size, cache, alpha)


def _no_face(name: str, index: int | None) -> InvalidInput:
    if index:
        return InvalidInput(
            "face.not_found",
            f"No face number {index} was found in {name}.",
            "Faces are counted from the left, from 0; leave the index out to take the largest.",
        )
    return InvalidInput(
        "face.not_found",
        f"No face was found in {name}.",
        "Film one person from the front, well lit, the face at least a tenth of the picture's width.",
    )
