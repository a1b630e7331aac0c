"""Draws the frames of a reenactment: a photo or a video with its face in the driving poses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from avatar.compose.colour import Pixels
from avatar.engines.base import EngineInfo
from avatar.engines.liveportrait.template import MotionTemplate
from avatar.engines.resume_cache import ResumeCache
from avatar.face.pictures import is_picture, read_picture
from avatar.face.portrait import flatten
from avatar.face.search import choose_face, find_upright_faces
from avatar.face.tracker import FaceTracker
from avatar.pipeline.lipsync.video import MAX_SIDE_PX, require_side
from avatar.pipeline.reenact.job import ReenactJob, no_driving
from avatar.spec import Canvas, Notice
from avatar.tracks import SpeechTrack

if TYPE_CHECKING:
    from avatar.engines.liveportrait.animator import Animator
    from avatar.engines.liveportrait.motion_values import Motion
    from avatar.engines.liveportrait.poses import DrivingFace

SPOKEN_FPS = 25
PICTURED_S = 2
"""How long a photo shows the face of a driving picture; a video does to its end."""


@dataclass(frozen=True, slots=True)
class FrameSource:
    """Frames to write, and what is known of them once they are written. mode: of the card; empty without."""

    canvas: Canvas
    frames: int
    pictures: Iterator[Pixels]
    lost: Callable[[], list[int]]
    notices: tuple[Notice, ...] = ()
    trackers: tuple[EngineInfo, ...] = ()
    mode: str = ""


@dataclass(frozen=True, slots=True)
class DrawingTools:
    """Draws frames: networks, tracker, and the frames that a stopped run had drawn."""

    animator: Animator
    tracker: FaceTracker
    check: Callable[[], None]
    resume_cache: ResumeCache


def photo_frames(
    job: ReenactJob, driver: MotionTemplate | SpeechTrack | None, tools: DrawingTools
) -> FrameSource:
    """Returns the photo as `driver` moves it, or the job's own driving video or picture."""
    from avatar.engines.liveportrait.engine import batch_of
    from avatar.engines.liveportrait.poses import still_poses
    from avatar.engines.liveportrait.puppet import speech_poses
    from avatar.engines.liveportrait.reenactment import Reenactment

    source_picture = _even(flatten(read_picture(job.source, max_side_px=MAX_SIDE_PX)))
    _require_size(source_picture, "The source")
    upright = find_upright_faces(source_picture, tools.tracker)
    picture, face = upright.picture, choose_face(upright.faces, job.options.face_index)
    drawing = Reenactment(tools.animator, batch=batch_of(tools.animator), resume_cache=tools.resume_cache)
    source = drawing.face_of(picture, face.points)
    lost: Callable[[], list[int]]
    if isinstance(driver, SpeechTrack):
        from avatar.timing import control_track

        track = control_track(driver, SPOKEN_FPS, seed=0)
        poses = speech_poses(source, face, track)
        frames, fps, lost = track.frames, SPOKEN_FPS, list
    else:
        driving, frames, fps, lost, first = _driving(job, driver, None, tools)
        poses = still_poses(source, driving, job.options.manner(), first)
    return FrameSource(_canvas(picture, fps), frames, drawing.photo(picture, source, poses), lost)


def video_frames(
    job: ReenactJob, driver: MotionTemplate | SpeechTrack | None, tools: DrawingTools
) -> FrameSource:
    """Returns the video as `driver` moves it.

    Raises InvalidInput `reenact.no_driving` for a speech: that moves photos alone.
    """
    if isinstance(driver, SpeechTrack):
        raise no_driving()
    from avatar.engines.liveportrait.engine import batch_of
    from avatar.engines.liveportrait.filmed import Film
    from avatar.engines.liveportrait.reenactment import Reenactment

    film = Film(job.source, job.source.name)
    begin = _even(next(film.pictures()))
    _require_size(begin, "The source")
    driving, frames, fps, _, first = _driving(job, driver, film.fps, tools)
    drawing = Reenactment(tools.animator, batch=batch_of(tools.animator), resume_cache=tools.resume_cache)
    tracked = film.track(tools.tracker, job.options.face_index)
    shown = ((_even(picture), points) for picture, points in tracked)
    pictures = drawing.video(shown, driving, job.options.manner(), first)
    return FrameSource(_canvas(begin, fps), min(frames, len(film)), pictures, lambda: drawing.lost)


def _driving(
    job: ReenactJob, template: MotionTemplate | None, fps: int | None, tools: DrawingTools
) -> tuple[Iterator[DrivingFace], int, int, Callable[[], list[int]], Motion | None]:
    """Returns the driving faces, their number and rate, a function that gives the frames without one, and the
    motion that changes are counted from if not from the first.
    """
    from avatar.engines.liveportrait.engine import batch_of
    from avatar.engines.liveportrait.filmed import LEAST_FPS, MAX_FRAMES, MOST_FPS, DrivingFilm, Film

    if template is not None:
        rate = fps or min(MOST_FPS, max(LEAST_FPS, round(template.fps)))
        count = max(1, round(len(template) * rate / template.fps))
        rows = np.minimum((np.arange(count) * template.fps / rate).astype(int), len(template) - 1)
        return (template.face(int(row)) for row in rows), count, rate, list, None
    if job.driving is None:
        raise no_driving()
    if is_picture(job.driving):
        from avatar.engines.liveportrait.filmed import face_of_picture
        from avatar.engines.liveportrait.poses import rest_motion

        picture = flatten(read_picture(job.driving, max_side_px=MAX_SIDE_PX))
        _require_size(picture, job.driving.name)
        upright = find_upright_faces(picture, tools.tracker)
        picture, found = upright.picture, choose_face(upright.faces, None)
        face = face_of_picture(picture, found.points, tools.animator)
        count = MAX_FRAMES if fps else PICTURED_S * SPOKEN_FPS
        return repeat(face, count), count, fps or SPOKEN_FPS, list, rest_motion(face)
    film = Film(job.driving, job.driving.name, fps)
    _require_size(next(film.pictures()), film.name)
    watched = DrivingFilm.watch(film, tools.tracker, tools.check)
    faces = watched.faces(tools.animator, batch_of(tools.animator))
    if job.save_template is not None:
        from avatar.engines.liveportrait.template import save_template, template_of

        template = template_of(film.fps, faces)
        save_template(template, job.save_template)
        faces = (template.face(row) for row in range(len(template)))
    return faces, len(film), film.fps, lambda: watched.lost, None


def _even(picture: Pixels) -> Pixels:
    """Returns the picture without its last row and column where their number is odd: 4:2:0 needs pairs."""
    height, width = picture.shape[:2]
    return picture[: height // 2 * 2, : width // 2 * 2]


def _canvas(picture: Pixels, fps: int) -> Canvas:
    height, width = picture.shape[:2]
    return Canvas(width=width, height=height, fps=fps)


def _require_size(picture: Pixels, what: str) -> None:
    height, width = picture.shape[:2]
    require_side(width, height, what)
