"""The camera of a scene: where the speaker stands, push-in and cuts; the scene renderer opens and uses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from queue import Empty, SimpleQueue
from types import MappingProxyType

import cv2
import numpy as np

from avatar.compose.anchors import moment_ms
from avatar.compose.blend import Sprite, lay
from avatar.compose.colour import Pixels, Planes
from avatar.compose.layout import Rect, merge_rects, shape_of
from avatar.compose.seats import share_canvas
from avatar.spec import (
    AvatarLayout,
    Box,
    Canvas,
    Framing,
    Notice,
    RigFace,
    Scene,
    SetBackground,
    SourceBackground,
)
from avatar.spec.sentences import ends_sentence
from avatar.tracks import Word

CLOSE = 1.38
"""How much nearer than bust."""
FACE = (0.5, 0.42)
"""The middle of a face in the box of its speaker."""
CUT_AFTER_MS = 4000
"""Cuts at sentences are at least so far apart."""
SHARP_UP_TO = 1.12
"""Enlarged further than this a picture looks soft: it is drawn larger."""

_CLOSE_BOX = Box(x=FACE[0] * (1 - CLOSE), y=FACE[1] * (1 - CLOSE), width=CLOSE, height=CLOSE)
_LYING: Mapping[str, AvatarLayout] = MappingProxyType(
    {
        "bust": AvatarLayout(),
        "close": AvatarLayout(box=_CLOSE_BOX),
        "half": AvatarLayout(box=Box(x=0.13, y=0.26, width=0.74, height=0.74)),
        "side_left": AvatarLayout(box=Box(x=-0.2, y=0.08, width=0.92, height=0.92)),
        "side_right": AvatarLayout(box=Box(x=0.28, y=0.08, width=0.92, height=0.92)),
        "picture_in_picture": AvatarLayout(box=Box(x=0.73, y=0.44, width=0.22, height=0.34), shape="rounded"),
        "voice_over": AvatarLayout(visible=False),
    }
)
_UPRIGHT: Mapping[str, AvatarLayout] = MappingProxyType(
    {
        **_LYING,
        "half": AvatarLayout(box=Box(x=0.0, y=0.4, width=1.0, height=0.6)),
        "side_left": AvatarLayout(box=Box(x=-0.16, y=0.44, width=1.0, height=0.56)),
        "side_right": AvatarLayout(box=Box(x=0.16, y=0.44, width=1.0, height=0.56)),
        "picture_in_picture": AvatarLayout(box=Box(x=0.52, y=0.56, width=0.34, height=0.22), shape="rounded"),
    }
)
"""Of 9:16 and 1:1: sides leave room above, not beside."""
_UPRIGHT_DRAWN: Mapping[str, AvatarLayout] = MappingProxyType(
    {
        **_UPRIGHT,
        "half": AvatarLayout(box=Box(x=0.12, y=0.24, width=0.76, height=0.76)),
        "side_left": AvatarLayout(box=Box(x=0.05, y=0.38, width=0.62, height=0.62)),
        "side_right": AvatarLayout(box=Box(x=0.33, y=0.38, width=0.62, height=0.62)),
    }
)
"""Drawn characters reach over the sides of a box: it is narrow and high, and the chin is above captions."""
_TURNS = {(False, False): None, (True, False): 0, (False, True): 1, (True, True): -1}
"""Codes of `cv2.flip` that bring what is (above, left of) a point to its right and below."""
_NEEDS_A_SET: tuple[Framing, ...] = ("half", "side_left", "side_right")


def stage_scene(scene: Scene, canvas: Canvas) -> Scene:
    """The scene with the layout that its framing stands for; a speaker who leaves room beside them stands
    before a drawn set, unless the scene has a background of its own.
    """
    framing = scene.camera.framing
    # Several speakers stand where their own layouts say.
    if framing is None or scene.speakers:
        return scene
    upright = _UPRIGHT_DRAWN if isinstance(scene.face, RigFace) else _UPRIGHT
    layouts = _LYING if shape_of(canvas) == "16:9" else upright
    layout = layouts[framing].model_copy(update={"moves": scene.layout.moves})
    changed: dict[str, object] = {"layout": layout}
    if framing in _NEEDS_A_SET and scene.background == SourceBackground():
        changed["background"] = SetBackground()
    return scene.model_copy(update=changed)


@dataclass(frozen=True, slots=True)
class CameraPath:
    """Holds how near the camera is in each frame, against the scene's own framing; it looks at `centre`, in
    shares of the canvas.
    """

    scales: tuple[float, ...]
    centre: tuple[float, float]

    @property
    def stage_scale(self) -> float:
        """Returns how much larger than the canvas the scene is drawn, so that the nearest look is sharp."""
        nearest = max(self.scales)
        return nearest if nearest > SHARP_UP_TO else 1.0


def camera_path(
    scene: Scene,
    words: Sequence[Word],
    frames: int,
    canvas: Canvas,
    warn: Callable[[Notice], None],
) -> CameraPath | None:
    """The path of a staged scene; None for a camera that stands still."""
    camera = scene.camera
    if not camera.moves or frames < 1:
        return None
    rate = float(canvas.rate)
    looks = np.ones(frames)
    cuts: list[tuple[int | None, Framing]] = [
        (moment_ms(cut.at, words, scene.id, warn), cut.framing) for cut in camera.cuts
    ]
    if camera.cut_at_sentences:
        cuts += _sentence_cuts(words)
    for ms, framing in sorted((cut for cut in cuts if cut[0] is not None), key=lambda cut: cut[0] or 0):
        looks[min(frames, round((ms or 0) * rate / 1000)) :] = CLOSE if framing == "close" else 1.0
    # The same speed all the way: a push-in that eases looks like one that was stopped.
    along = (np.arange(frames) + 0.5) / frames
    push = camera.push_in
    looks *= 1 + push * along if push >= 0 else 1 - push * (1 - along)
    if not scene.faces:
        return CameraPath(tuple(looks.tolist()), (0.5, 0.5))
    boxes = [layout.box for layout in share_canvas(scene.cast, canvas) if layout.visible]
    x, y = zip(*((box.x + FACE[0] * box.width, box.y + FACE[1] * box.height) for box in boxes), strict=True)
    # In the middle of several: nearer to one it would cut through the face of another.
    middle = np.clip([(min(x) + max(x)) / 2, (min(y) + max(y)) / 2], 0, 1)
    return CameraPath(tuple(looks.tolist()), (float(middle[0]), float(middle[1])))


def _sentence_cuts(words: Sequence[Word]) -> list[tuple[int | None, Framing]]:
    """Close and bust by turns where a sentence begins, a moment before its first word."""
    cuts: list[tuple[int | None, Framing]] = []
    last = 0
    for index in range(1, len(words)):
        before, word = words[index - 1], words[index]
        if not ends_sentence(before.text, word.text) or word.start_ms - last < CUT_AFTER_MS:
            continue
        if words[-1].end_ms - word.start_ms < CUT_AFTER_MS / 2:
            break
        last = word.start_ms
        at = max(before.end_ms, word.start_ms - 120)
        cuts.append((at, "bust" if len(cuts) % 2 else "close"))
    return cuts


class Shooter:
    """Takes the frame that the camera sees out of a drawn stage, and lays words over it."""

    def __init__(self, path: CameraPath, canvas: Canvas) -> None:
        self._path = path
        self._size = (canvas.width, canvas.height)
        self._spare: SimpleQueue[Planes] = SimpleQueue()

    @property
    def size(self) -> tuple[int, int]:
        return self._size

    def shoot(self, stage: Planes, index: int, overlays: Sequence[Sprite], onto: Planes | None) -> Planes:
        """The frame `index`, in memory of our own unless `onto` is given."""
        width, height = self._size
        out = onto or self._blank()
        scale = self._path.scales[min(index, len(self._path.scales) - 1)]
        self._warp(stage, out, scale)
        canvas = Rect(0, 0, width, height)
        out.painted = (canvas,)
        for region in merge_rects(sprite.rect.within(canvas).even(canvas) for sprite in overlays):
            patch = out.get(region)
            for sprite in overlays:
                lay(patch, region, sprite)
            out.put(region, patch)
        return out

    def recycle(self, planes: Planes) -> None:
        self._spare.put(planes)

    def _blank(self) -> Planes:
        try:
            return self._spare.get_nowait()
        except Empty:
            return Planes(*self._size)

    def _warp(self, stage: Planes, out: Planes, scale: float) -> None:
        """From pixels of the frame to pixels of the stage: the point that is looked at keeps its place."""
        width, height = self._size
        # Two pixels share one of colour: the middle lies between two of either kind.
        middle = [
            2 * round(share * size / 2) for share, size in zip(self._path.centre, self._size, strict=True)
        ]
        for source, target in ((stage.y, out.y), (stage.cb, out.cb), (stage.cr, out.cr)):
            rows, columns = target.shape
            x, y = middle[0] * columns // width, middle[1] * rows // height
            if source.shape == target.shape and _enlarge(source, target, scale, x, y):
                # Beside the middle, what lies across it counts too.
                regions = [Rect(x - 1, 0, 2, rows), Rect(0, y - 1, columns, 2)]
            else:
                regions = [Rect(0, 0, columns, rows)]
            by = source.shape[1] / columns  # how much larger the stage is
            for region in regions:
                _look_up(source, target, region.within(Rect(0, 0, columns, rows)), by, by / scale, x, y)


def _look_up(
    source: Pixels, target: Pixels, region: Rect, by: float, step: float, x: float, y: float
) -> None:
    """Fills a region of the target, whose pixels are `step` pixels of the source apart and keep (x, y), which
    is `by` times as far in the source.
    """
    # Pixels are looked up at their middles.
    x0 = x * by + (region.x - x + 0.5) * step - 0.5
    y0 = y * by + (region.y - y + 0.5) * step - 0.5
    target[region.rows, region.columns] = cv2.warpAffine(
        source,
        np.array([[step, 0, x0], [0, step, y0]]),
        (region.width, region.height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _enlarge(source: Pixels, target: Pixels, scale: float, x: int, y: int) -> bool:
    """Fills the target, which is as large, with the source enlarged around (x, y), in a fifth of the time of
    `_look_up`. Returns False for scales so near to 1 that `cv2.resize` would copy.

    `cv2.resize` enlarges from the upper left corner: each quarter is turned until the middle lies there.
    """
    if scale == 1:
        target[:] = source
        return True
    rows, columns = target.shape
    quarters = [
        (slice(y) if above else slice(y, rows), slice(x) if left else slice(x, columns), _TURNS[above, left])
        for above in (True, False)
        for left in (True, False)
        if (y if above else rows - y) and (x if left else columns - x)
    ]
    if (scale - 1) * min(max(target[where[:2]].shape) for where in quarters) < 1:
        return False
    for down, across, turn in quarters:
        part, piece = target[down, across], source[down, across]
        if turn is not None:
            piece = np.asarray(cv2.flip(piece, turn), np.uint8)
        height, width = part.shape
        needed = piece[: ceil(height / scale) + 1, : ceil(width / scale) + 1]
        large = cv2.resize(needed, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)[:height, :width]
        part[:] = large if turn is None else cv2.flip(large, turn)
    return True
