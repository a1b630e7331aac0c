"""The photo engine: a portrait that speaks, blinks, glances, nods and breathes; opened by the engine
registry.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

from avatar.engines.base import EngineInfo, EngineReport, Layer, Pixels
from avatar.engines.mesh.cheeks import CheekShade
from avatar.engines.mesh.cutout import cut_out
from avatar.engines.mesh.eyes import EyePose, eye_models
from avatar.engines.mesh.folds import soften_folds
from avatar.engines.mesh.head import HeadField
from avatar.engines.mesh.interior import MouthInterior
from avatar.engines.mesh.lips import MouthShape
from avatar.engines.mesh.mouth import MouthModel, smiling
from avatar.engines.mesh.mouth_fields import MouthPose
from avatar.engines.mesh.own_teeth import own_upper_teeth
from avatar.engines.mesh.preparation import PreparedStage, prepare_stage
from avatar.face.landmarks import Picture
from avatar.spec import MediaRef, PhotoFace
from avatar.tracks import ControlTrack

Pose = dict[str, float]

_BLINK_STEPS, _GAZE_STEPS = 16, 10
_CACHED_EYES = 48
_FOLDS_SOFTER = 0.6

INFO = EngineInfo(
    name="mesh.photo", version="1", licence="Apache-2.0", inputs=("photo",), outputs=("frames", "alpha")
)


def open_photo(
    face: PhotoFace,
    size: tuple[int, int],
    fps: int,
    *,
    resolve: Callable[[MediaRef], Path],
    cache: Path,
    alpha: bool,
) -> PhotoEngine:
    """A photo as a FaceEngine of `size` (width, height). With `alpha` its frames are BGRA, background
    removed.

    MediaPipe is needed only when the picture is new: not with `face.portrait`, nor when `cache` knows it.
    Raises InvalidInput picture.*, face.*, portrait.*; Unavailable face.unavailable.
    """
    del fps  # frames are independent: the track decides when what happens
    portrait = resolve(face.portrait) if face.portrait is not None else None
    prepared = prepare_stage(resolve(face.image), portrait, face.face_index, size, cache)
    return PhotoEngine(prepared, size, alpha=alpha)


class PhotoEngine:
    """See `avatar.engines.base.FaceEngine`."""

    info = INFO

    def __init__(self, prepared: PreparedStage, size: tuple[int, int], *, alpha: bool) -> None:
        stage = prepared.stage
        self.size = size
        self._notices = prepared.notices
        glasses = any(notice.code == "portrait.glasses" for notice in prepared.notices)
        self._still: Picture = cut_out(stage) if alpha else stage.pixels
        # A cut-out has nothing that stays: where the person moves away, the base would show them twice.
        self.base: Pixels | None = None if alpha else self._still
        shape = MouthShape.of(stage.points)
        interior = MouthInterior.from_picture(stage.pixels, stage.points)
        own = own_upper_teeth(stage.pixels, shape) if smiling(shape) > 0 else None
        if own is not None:
            interior = interior.with_upper_teeth(shape, own)
        softened = soften_folds(stage.pixels, shape, _FOLDS_SOFTER * smiling(shape))
        self.mouth = MouthModel.from_landmarks(softened, stage.points, interior=interior)
        self.cheeks = CheekShade(shape, self.mouth.region, self.mouth.top_v)
        self.eyes = eye_models(stage.pixels, stage.points)
        self.head = HeadField(stage.points, stage.mask, size, glasses=glasses)
        self._eye_cache: OrderedDict[EyePose, tuple[Picture, Picture]] = OrderedDict()
        self._eye_lock = threading.Lock()
        self._own = threading.local()

    def items(self, track: ControlTrack) -> Iterator[Pose]:
        """One set of channel values per frame."""
        for index in range(track.frames):
            yield track.at(index)

    def draw(self, item: Pose) -> Layer:
        """One frame; may run in several threads at once."""
        canvas = self._canvas()
        mouth = self.mouth.region.of(canvas)
        pose = MouthPose.of(item)
        mouth[..., :3] = self.cheeks.paint(self.mouth.draw(pose), pose)
        for eye, patch in zip(self.eyes, self._eye_patches(item), strict=True):
            eye.region.of(canvas)[..., :3] = patch
        moved = self.head.move(canvas, item, self._still)
        return Layer(moved, self.head.area.x, self.head.area.y)

    def report(self) -> EngineReport:
        """Returns the notices about the portrait."""
        return EngineReport(notices=list(self._notices))

    def close(self) -> None:
        self._eye_cache.clear()

    def _canvas(self) -> Picture:
        """This thread's copy of the still. Mouth and eyes are painted over in full every time."""
        canvas: Picture | None = getattr(self._own, "canvas", None)
        if canvas is None:
            canvas = self._own.canvas = self._still.copy()
        return canvas

    def _eye_patches(self, item: Pose) -> tuple[Picture, Picture]:
        """Both eyes, from the cache: poses are rounded to steps finer than the eye can tell."""
        pose = EyePose(
            round(item["blink"] * _BLINK_STEPS) / _BLINK_STEPS,
            round(item["gaze_x"] * _GAZE_STEPS) / _GAZE_STEPS,
            round(item["gaze_y"] * _GAZE_STEPS) / _GAZE_STEPS,
        )
        with self._eye_lock:
            known = self._eye_cache.get(pose)
            if known is not None:
                self._eye_cache.move_to_end(pose)
                return known
        left, right = (eye.draw(pose) for eye in self.eyes)
        with self._eye_lock:
            self._eye_cache[pose] = (left, right)
            while len(self._eye_cache) > _CACHED_EYES:
                self._eye_cache.popitem(last=False)
        return left, right
