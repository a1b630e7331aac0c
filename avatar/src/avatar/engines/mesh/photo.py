"""The photo engine: a portrait that speaks, blinks, glances, nods and breathes; opened by the engine
registry.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from avatar.engines.base import EngineInfo, EngineReport, Layer, Pixels
from avatar.engines.mesh.axes import Floats, smoothstep
from avatar.engines.mesh.eyes import EyePose, eye_models
from avatar.engines.mesh.head import HeadField
from avatar.engines.mesh.interior import MouthInterior
from avatar.engines.mesh.lips import MouthShape
from avatar.engines.mesh.mouth import MouthModel, smiling
from avatar.engines.mesh.mouth_fields import MouthPose
from avatar.engines.mesh.preparation import PreparedStage, prepare_stage
from avatar.engines.mesh.region import Region
from avatar.engines.mesh.stage import Stage
from avatar.engines.mesh.teeth import own_upper_teeth
from avatar.face.landmarks import Picture
from avatar.spec import MediaRef, PhotoFace
from avatar.tracks import ControlTrack

Pose = dict[str, float]

_BLINK_STEPS, _GAZE_STEPS, _LID_STEPS = 16, 10, 20
_CACHED_EYES = 48
_FOLDS_SOFTER = 0.6

INFO = EngineInfo(
    name="mesh.photo", version="1", licence="Apache-2.0", inputs=("photo",), outputs=("frames", "alpha")
)
_ONE = 200
"""Of the eight bits a factor has, the value of 1.0: steps of half a percent, up to 1.27."""
_GRID_PX = 4
_HOLLOW, _FILLED, _FOLD, _DRAWN_IN, _CHIN = 0.10, 0.05, 0.09, 0.09, 0.06
_LEAST = 0.004
_RIM_PX = 4
_FOLD_E = 0.05


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
            round(item["lid"] * _LID_STEPS) / _LID_STEPS,
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


class CheekShade:
    """The shades of one face, in the mouth's region of its picture: they come and go with the mouth.

    A warp moves skin and keeps its light. On a real face a dropping jaw hollows the cheeks, spread lips fill
    them and deepen the fold beside the nose, pouted ones draw them in beside the corners.

    `paint` changes nothing of itself and may run in several threads. At the border of the region, at the
    lips and between them every factor is exactly 1.
    """

    def __init__(self, shape: MouthShape, region: Region, top_v: float) -> None:
        self._size = (region.width, region.height)
        columns = (np.arange(max(2, region.width // _GRID_PX), dtype=np.float32) + 0.5) * _GRID_PX
        rows = (np.arange(max(2, region.height // _GRID_PX), dtype=np.float32) + 0.5) * _GRID_PX
        x, y = np.meshgrid(columns + np.float32(region.x), rows + np.float32(region.y))
        uv = shape.axes.to_local(np.stack([x, y], axis=-1))
        side, v = np.abs(uv[..., 0] - np.float32(shape.centre)), uv[..., 1]
        half, chin, nose = shape.half_width, shape.chin_v, shape.nose_v
        within = smoothstep(top_v, top_v + 0.22, v) * (1 - smoothstep(0.62, 0.84, side))
        within = within * (1 - smoothstep(chin - 0.02, chin + 0.12, v))
        lips = np.exp(-((side / (half * 1.15)) ** 6) - (np.abs(v) / 0.16) ** 4)

        def spot(u_at: float, v_at: float, u_size: float, v_size: float) -> Floats:
            return np.asarray(
                np.exp(-(((side - u_at) / u_size) ** 2) - ((v - v_at) / v_size) ** 2), np.float32
            )

        # The fold runs from the wing of the nose to beside the corner of the mouth.
        along = np.clip((v - nose) / max(0.05, -nose), 0, 1.2)
        fold_u = 0.20 + (half + 0.10 - 0.20) * along
        fold = np.exp(-(((side - fold_u) / 0.035) ** 2)) * smoothstep(nose - 0.06, nose + 0.06, v)
        fold = fold * (1 - smoothstep(-0.02, 0.10, v))
        jaw = -_HOLLOW * spot(half + 0.20, 0.10, 0.13, 0.24) - _CHIN * spot(0.0, 0.62 * chin, 0.2, 0.07)
        spread = _FILLED * spot(half + 0.22, -0.22, 0.16, 0.14) - _FOLD * fold
        pucker = -_DRAWN_IN * (spot(half + 0.03, 0.02, 0.07, 0.12) + 0.5 * spot(half + 0.22, 0.06, 0.10, 0.2))
        shades = [part * within * (1 - lips) for part in (jaw, spread, pucker)]
        self._shades = np.stack(shades).astype(np.float32)

    def paint(self, patch: Picture, pose: MouthPose) -> Picture:
        """`patch` (region.height, region.width, 3) BGR in the light of this pose."""
        weights = np.array([pose.jaw, max(0.0, pose.wide), pose.pucker], np.float32)
        if float(np.abs(weights).max()) * _HOLLOW < _LEAST:
            return patch
        factor = 1 + np.einsum("k,kyx->yx", weights, self._shades)
        small = np.rint(factor * _ONE).clip(0, 255).astype(np.float32)
        whole = cv2.resize(small, self._size, interpolation=cv2.INTER_LINEAR)
        gain = cv2.cvtColor(np.rint(whole).astype(np.uint8), cv2.COLOR_GRAY2BGR)
        return np.asarray(cv2.multiply(patch, gain, scale=1 / _ONE), np.uint8)


def cut_out(stage: Stage) -> Picture:
    """Returns the person of a stage as BGRA uint8 (h, w, 4), without a halo of the old background."""
    alpha = stage.mask
    height = alpha.shape[0]
    sure = np.asarray(alpha > 0.92, np.float32)
    scale = 0.25
    small = cv2.resize(stage.pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(
        np.float32
    )
    count = cv2.resize(sure, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    sigma = max(1.0, height / 130 * scale)
    spread = cv2.GaussianBlur(small * count[..., None], (0, 0), sigma)
    weight = cv2.GaussianBlur(count, (0, 0), sigma)
    near = cv2.resize(spread / (weight[..., None] + 1e-3), alpha.shape[::-1], interpolation=cv2.INTER_LINEAR)
    # A soft mask is too wide by a little: what is half background reads as a light rim.
    opaque = np.clip((alpha - 0.20) / 0.72, 0, 1) * 255
    # Where nothing is to be seen no colour is needed, but for a rim that a warp may reach into.
    x, y, width, height = cv2.boundingRect((opaque > 0).astype(np.uint8))
    rows, columns = (
        slice(max(0, y - _RIM_PX), y + height + _RIM_PX),
        slice(max(0, x - _RIM_PX), x + width + _RIM_PX),
    )
    keep = np.clip((alpha[rows, columns] - 0.55) / 0.4, 0, 1)[..., None]
    colour = stage.pixels[rows, columns] * keep + np.asarray(near)[rows, columns] * (1 - keep)
    cut = np.zeros((*alpha.shape, 4), np.uint8)
    cut[rows, columns, :3] = np.clip(colour, 0, 255)
    cut[rows, columns, 3] = opaque[rows, columns]
    return cut


def soften_folds(picture: Picture, shape: MouthShape, amount: float) -> Picture:
    """A copy of a picture (h, w, 3) in which dark lines beside nose and mouth are lighter; `amount` 0..1.

    Only what is darker than its surroundings changes, and nothing near the lips: their lines stay.
    """
    result = picture.copy()
    if amount <= 0:
        return result
    unit = shape.axes.unit_px
    x, y = shape.axes.origin
    x0, x1 = max(0, int(x - 1.0 * unit)), min(picture.shape[1], int(x + 1.0 * unit))
    y0, y1 = max(0, int(y - 0.55 * unit)), min(picture.shape[0], int(y + 0.45 * unit))
    area = Region(x0, y0, max(0, x1 - x0), max(0, y1 - y0))
    if area.width < 8 or area.height < 8:
        return result
    columns, rows = np.meshgrid(
        np.arange(x0, x0 + area.width, dtype=np.float32), np.arange(y0, y0 + area.height, dtype=np.float32)
    )
    uv = shape.axes.to_local(np.stack([columns, rows], axis=-1))
    side, v = np.abs(uv[..., 0] - np.float32(shape.centre)), uv[..., 1]
    half = shape.half_width
    # A ring round the mouth: outside the corners and beside the wings of the nose.
    beside = smoothstep(half * 0.9, half * 1.25, side) * (1 - smoothstep(half + 0.30, half + 0.50, side))
    height = smoothstep(-0.42, -0.22, v) * (1 - smoothstep(0.18, 0.36, v))
    corner = 1 - np.exp(-(((side - half) / 0.07) ** 2) - (v / 0.07) ** 2)
    cover = (np.float32(amount) * beside * height * corner)[..., None]
    patch = area.of(picture).astype(np.float32)
    scale = float(np.clip(12 / (_FOLD_E * unit * 4), 0.125, 1.0))  # a wide blur needs few pixels
    small = cv2.resize(patch, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), max(0.8, _FOLD_E * unit * scale))
    smooth = cv2.resize(soft, (area.width, area.height), interpolation=cv2.INTER_LINEAR)
    lifted = patch + cover * np.maximum(0, smooth - patch)
    area.of(result)[:] = np.clip(lifted, 0, 255).astype(np.uint8)
    return result
