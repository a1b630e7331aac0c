"""The engine of drawn characters: a static studio, the figure drawn for each frame. Made by `open_rig`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import cv2
import numpy as np
import skia

from avatar.engines.base import EngineInfo, EngineReport, Layer, Pixels, Reach
from avatar.engines.rig.arm_motion import ArmPose
from avatar.engines.rig.artwork import Backdrop, Character, Linear, Radial
from avatar.engines.rig.figure import Figure
from avatar.engines.rig.paint import clear, paint, soft
from avatar.engines.rig.pose import Pose, poses
from avatar.engines.rig.sheet import Sheet
from avatar.engines.rig.textures import View
from avatar.tracks import ControlTrack

INFO = EngineInfo(
    name="rig",
    version="1",
    licence="Apache-2.0",
    inputs=("character", "control track"),
    outputs=("frames",),
    holds_lock=True,
)
Box = tuple[int, int, int, int]
ARM_REACHES = (0.0, 300.0, 430.0)
"""Half the width that a raised arm needs, in units: hanging, before the body, stretched out."""
BODY = 380.0
"""How far a picture may show the body, in units: hands that hang are below."""
_LONG_SIDE = 960
"""The blurred picture holds no detail: it is painted small and enlarged."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Placement of the figure in the picture: pixels per unit, and the pixel of the units' origin."""

    scale: float
    x: float
    y: float

    def view(self, size: tuple[int, int]) -> View:
        """Returns what of the artwork a picture of that size shows."""
        corners = (-self.x, -self.y, size[0] - self.x, size[1] - self.y)
        x0, y0, x1, y1 = (side / self.scale for side in corners)
        return View(self.scale, (x0, y0, x1, y1))


def _reach_of(arm: ArmPose | None) -> int:
    """Returns which of `ARM_REACHES` holds the arm."""
    if arm is None:
        return 0
    x = arm.wrist[0]
    return 1 if x + 1.1 * arm.hand_reach <= ARM_REACHES[1] and x <= 205.0 else 2


def framing(size: tuple[int, int], top: float, reach: Reach | None = None) -> Frame:
    """Head and shoulders for any picture shape: the head with room to move is never cut."""
    height = size[1]
    width = size[0] if reach is None else min(reach.span, size[0])
    # Narrower, a hand would not fit beside the neck.
    scale = min(height / 440.0, width / 345.0)
    headroom = (26.0 - top) * scale
    eye_line = 0.425 * height if width >= height else 0.39 * height
    return Frame(scale, size[0] / 2, max(eye_line, headroom, height - BODY * scale))


def _without_alpha(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2BGR), dtype=np.uint8)


def _straight(pixels: Pixels) -> Pixels:
    """A copy with straight alpha of BGRA pixels that are multiplied by theirs: few of them show through."""
    straight = pixels.copy()
    alpha = np.asarray(cv2.extractChannel(pixels, 3), dtype=np.uint8)
    edges = np.flatnonzero(alpha - np.uint8(1) < 254)
    part = straight.reshape(-1, 4)[edges]
    share = part[:, 3:].astype(np.float32) / 255
    part[:, :3] = np.minimum(part[:, :3] / share + 0.5, 255)
    straight.reshape(-1, 4)[edges] = part
    return straight


class RigEngine:
    """A `FaceEngine`. The figure is drawn over a copy of the studio, in the only box it can ever reach."""

    def __init__(
        self, character: Character, size: tuple[int, int], alpha: bool, reach: Reach | None = None
    ) -> None:
        self.info = INFO
        self.size = size
        self._alpha = alpha
        self._frame = framing(size, character.top, reach)
        seen = reach or Reach(size[0], size[0] // 2, size[0] // 2)
        self._room = (seen.left / self._frame.scale, seen.right / self._frame.scale)
        self._figure = Figure(character, self._frame.view(size))
        wall = np.zeros((size[1], size[0], 4), np.uint8) if alpha else studio(character.backdrop, size)
        if not alpha:  # Cut out, its soft edges would lie over themselves: there each frame draws it.
            self._figure.draw_behind(self._units(skia.Surface(wall, skia.kBGRA_8888_ColorType).getCanvas()))
        self.base: Pixels | None = wall if alpha else _without_alpha(wall)
        self._boxes = {
            sides: self._bounds(character, *sides) for sides in product(range(len(ARM_REACHES)), repeat=2)
        }
        self._behind = {
            box: np.ascontiguousarray(wall[box[1] : box[3], box[0] : box[2]])
            for box in set(self._boxes.values())
        }
        self._local = threading.local()

    def _bounds(self, character: Character, left: int, right: int) -> Box:
        """The pixels that the figure can reach with arms raised so far (`ARM_REACHES`): x0, y0, x1, y1.
        Begins at even ones, as 4:2:0 wants them.
        """
        width, height = self.size
        f = self._frame
        to_left, to_right = (max(ARM_REACHES[side], character.reach) * f.scale for side in (left, right))
        return (
            max(0, int(f.x - to_left) // 2 * 2),
            max(0, int(f.y + (character.top - 24.0) * f.scale) // 2 * 2),
            min(width, (int(f.x + to_right) + 2) // 2 * 2),
            height,
        )

    def items(self, track: ControlTrack) -> Iterator[Pose]:
        for pose in poses(track):
            left, right = (
                None if arm is None else arm.within(room)
                for arm, room in zip(pose.arms, self._room, strict=True)
            )
            yield pose if pose.arms == (left, right) else replace(pose, arms=(left, right))

    def draw(self, item: Any) -> Layer:
        left, right = (_reach_of(arm) for arm in item.arms)
        box = self._boxes[left, right]
        pixels, surface = self._surface(box)
        x0, y0, x1, y1 = box
        np.copyto(pixels, self._behind[box])
        # Recorded first and rastered in one go: the same pixels for a twentieth less time.
        recorder = skia.PictureRecorder()
        canvas = recorder.beginRecording(skia.Rect(x1 - x0, y1 - y0))
        self._units(canvas, x0, y0)
        if self._alpha:
            self._figure.draw_behind(canvas)
        self._figure.draw(canvas, item)
        recorder.finishRecordingAsPicture().playback(surface.getCanvas())
        return Layer(_straight(pixels) if self._alpha else _without_alpha(pixels), x0, y0)

    def _units(self, canvas: skia.Canvas, x: int = 0, y: int = 0) -> skia.Canvas:
        """The same canvas, whose first pixel is (x, y) of the picture, in units of the figure."""
        canvas.translate(self._frame.x - x, self._frame.y - y)
        canvas.scale(self._frame.scale, self._frame.scale)
        return canvas

    def _surface(self, box: Box) -> tuple[Pixels, skia.Surface]:
        """This thread's own canvas of the box; skia's are not shared between threads."""
        surfaces: dict[Box, tuple[Pixels, skia.Surface]] = self._local.__dict__.setdefault("surfaces", {})
        if box not in surfaces:
            pixels = np.zeros_like(self._behind[box])
            # skia blends fastest where colours are multiplied by alpha.
            surface = skia.Surface(pixels, skia.kBGRA_8888_ColorType, skia.kPremul_AlphaType)
            surfaces[box] = pixels, surface
        return surfaces[box]

    def report(self) -> EngineReport:
        return EngineReport(facts={"character": self._figure.character.name})

    def close(self) -> None:
        self._local = threading.local()


def studio(style: Backdrop, size: tuple[int, int]) -> Pixels:
    """The backdrop, (height, width, 4) BGRA, opaque; fine noise keeps the soft gradients from banding."""
    width, height = size
    shrink = min(1.0, _LONG_SIDE / max(size))
    small_w, small_h = max(2, round(width * shrink)), max(2, round(height * shrink))
    pixels = np.zeros((small_h, small_w, 4), dtype=np.uint8)
    canvas = skia.Surface(pixels, colorType=skia.kBGRA_8888_ColorType).getCanvas()
    canvas.drawPaint(paint(Linear((0, 0), (small_w * 0.3, small_h), style.wall)))
    unit = small_h / 100.0
    canvas.translate(small_w / 2, small_h / 2)
    canvas.scale(unit, unit)
    Sheet(style.things).draw_still(canvas)
    for x, y, radius, tint in style.lights:
        spot = Radial(
            (x, y), radius, ((clear(tint, 0.5), 0.0), (clear(tint, 0.55), 0.86), (clear(tint, 0.0), 1.0))
        )
        canvas.drawCircle(x, y, radius, paint(spot))
    half = 50.0 * small_w / small_h
    canvas.drawPaint(paint(Radial((-0.45 * half, -22.0), 62.0 + 0.35 * half, soft(style.glow, 0.55))))
    shade = ((clear("#0a0f18", 0.0), 0.0), (clear("#0a0f18", 0.0), 0.55), (clear("#0a0f18", 0.42), 1.0))
    canvas.drawPaint(paint(Radial((0.0, -4.0), float(np.hypot(half, 54.0)), shade)))
    far = cv2.GaussianBlur(pixels[:, :, :3].astype(np.float32), (0, 0), max(0.6, style.blur * unit))
    lit = np.asarray(cv2.resize(far, size, interpolation=cv2.INTER_CUBIC), dtype=np.float32)
    noise = np.random.default_rng(7).random((height, width, 1), dtype=np.float32)
    noise -= 0.5
    lit += np.asarray(cv2.merge([noise] * 3), dtype=np.float32)
    lit += 0.5
    np.clip(lit, 0, 255, out=lit)
    return np.asarray(cv2.cvtColor(lit.astype(np.uint8), cv2.COLOR_BGR2BGRA), dtype=np.uint8)
