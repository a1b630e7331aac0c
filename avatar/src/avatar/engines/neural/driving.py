"""The movement that a photo takes from a filmed person: a template as it is, of a video made once and
kept under the cache folder.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avatar.encode.atomic import atomic_file
from avatar.engines.base import EngineReport
from avatar.engines.latentsync.engine import OpenTracker
from avatar.engines.liveportrait.animator import Animator
from avatar.engines.liveportrait.filmed import DrivingFilm, Film
from avatar.engines.liveportrait.template import (
    MotionTemplate,
    holds_template,
    load_template,
    template_of,
)
from avatar.errors import InvalidInput
from avatar.face.pictures import is_picture
from avatar.face.tracker import declare
from avatar.spec import Notice
from avatar.spec.base import sha256_of

_VERSION = 1
"""Of what is kept; a change of how a film becomes a template needs another."""


@dataclass(frozen=True, slots=True)
class _Watched:
    """lost: in how many frames of the film no face was seen."""

    template: MotionTemplate
    lost: int


@dataclass(frozen=True, slots=True)
class Watching:
    """The tools that watch a film. find: opens the tracker. report: receives lost faces."""

    animator: Animator
    batch: int
    cache: Path
    find: OpenTracker
    report: EngineReport
    check: Callable[[], None]


def driving_template(path: Path, name: str, watching: Watching) -> MotionTemplate:
    """Returns the motion of the person in `path`, shown as `name`. Raises InvalidInput `template.*`,
    `video.*`, `face.not_found`, `driving.still`; Unavailable as `find` and `Animator.motions`.
    """
    if is_picture(path):
        raise _still(name)
    template = load_template(path, name) if holds_template(path) else _of_film(path, name, watching)
    if len(template) < 2:
        raise _still(name)
    return template


def _of_film(path: Path, name: str, using: Watching) -> MotionTemplate:
    with closing(using.find()) as tracker, using.animator.stoppable(using.check):
        declare(tracker, using.report)
        key = f"{_VERSION} {sha256_of(path)} {type(tracker).__name__} {using.animator.identity}"
        cache_path = using.cache / "drivings" / f"{hashlib.sha256(key.encode()).hexdigest()}.npz"
        film_motion = _load(cache_path)
        if film_motion is None:
            film = Film(path, name)
            seen = DrivingFilm.watch(film, tracker, using.check)
            faces = seen.faces(using.animator, using.batch)
            film_motion = _Watched(template_of(film.fps, faces), len(seen.lost))
            _save(film_motion, cache_path)
    if film_motion.lost:
        using.report.notices.append(
            Notice(
                code="face.lost",
                message=f"No face was found in {film_motion.lost} frames of {name}:"
                " the photo holds still there.",
            )
        )
    return film_motion.template


def _load(path: Path) -> _Watched | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            rows = dict(file)
            fps, lost = float(rows.pop("fps")), int(rows.pop("lost"))
            return _Watched(MotionTemplate(fps, rows), lost)
    except FileNotFoundError:
        return None
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        path.unlink(missing_ok=True)  # a damaged cache entry is made again
        return None


def _save(film_motion: _Watched, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as part, part.open("wb") as file:
        np.savez(file, fps=film_motion.template.fps, lost=film_motion.lost, **film_motion.template.rows)


def _still(name: str) -> InvalidInput:
    return InvalidInput(
        "driving.still",
        f"Nothing moves in {name}: it has one picture.",
        "Drive with a video of one person who looks into the camera, or a motion template.",
    )
