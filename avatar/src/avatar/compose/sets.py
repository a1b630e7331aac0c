"""Draws the rooms that speakers stand in: walls, windows, boards, furniture, out of focus."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import skia

from avatar.compose.colour import Pixels
from avatar.compose.text import argb, blank, rgba, stroke
from avatar.spec import Canvas, SetBackground

MAX_STORED = 16
"""Pictures in a cache folder, each of 6 MB at 1080p."""
LONG_SIDE = 1280
"""What is out of focus holds no detail: it is drawn small and enlarged."""
_LIGHT = {"neutral": (1.0, 1.0, 1.0), "warm": (1.07, 1.0, 0.88), "cool": (0.9, 0.99, 1.09)}
"""Of red, green and blue."""
FAR, NEAR = 0.022, 0.009
"""Blur of the farthest and of the nearest things at full depth, against the height."""


@dataclass(frozen=True, slots=True)
class _Stage:
    """A canvas in units: 100 high, `half` to each side of the middle."""

    drawn: skia.Canvas
    half: float
    accent: str


def load_set(form: SetBackground, canvas: Canvas, cache: Path) -> Pixels:
    """Returns `draw_set`, from `cache` where it was drawn before: drawing takes a fifth of a second at 1080p,
    as long as all else in the picture of a scene.
    """
    path = cache / "sets" / f"{_key(form, canvas)}.npy"
    with suppress(OSError, ValueError, EOFError):
        picture = np.load(path, allow_pickle=False)
        if picture.shape == (canvas.height, canvas.width, 3) and picture.dtype == np.uint8:
            return np.asarray(picture)
    picture = draw_set(form, canvas)
    with suppress(OSError):
        _store(path, picture)
    return picture


def _key(form: SetBackground, canvas: Canvas) -> str:
    """Returns the hash of what decides about the picture: the form, the size, and how it is drawn."""
    content = f"{form.model_dump_json()} {canvas.width}x{canvas.height} ".encode()
    return hashlib.sha256(content + Path(__file__).read_bytes()).hexdigest()[:24]


def _store(path: Path, picture: Pixels) -> None:
    """Writes the file in one step, and removes the oldest where there are too many."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as part:
        np.save(part, picture)
    Path(part.name).replace(path)
    newest_first = sorted(path.parent.glob("*.npy"), key=lambda one: one.stat().st_mtime, reverse=True)
    for one in newest_first[MAX_STORED:]:
        one.unlink(missing_ok=True)


def draw_set(form: SetBackground, canvas: Canvas) -> Pixels:
    """The room, uint8 BGR of the canvas' size: what is far is more out of focus, the edges are darker."""
    shrink = min(1.0, LONG_SIDE / max(canvas.width, canvas.height))
    width, height = max(2, round(canvas.width * shrink)), max(2, round(canvas.height * shrink))
    surface, pixels = blank(width, height)
    picture = np.zeros((height, width, 3), np.float32)
    far, near = _SETS[form.name]
    for layer, blur in ((far, FAR), (near, NEAR)):
        with surface as drawn:
            drawn.clear(0)
            drawn.save()
            drawn.translate(width / 2, 0)
            drawn.scale(height / 100, height / 100)
            layer(_Stage(drawn, 50.0 * width / height, form.accent))
            drawn.restore()
        picture = _over(picture, pixels, form.depth * blur * height)
    picture *= np.array(_LIGHT[form.light][::-1], np.float32)
    picture = np.asarray(
        cv2.resize(picture, (canvas.width, canvas.height), interpolation=cv2.INTER_CUBIC), np.float32
    )
    noise = np.random.default_rng(7).random((canvas.height, canvas.width, 1), dtype=np.float32)
    return np.clip(picture * _vignette(canvas) + noise, 0, 255).astype(np.uint8)


def _over(behind: npt.NDArray[np.float32], pixels: Pixels, sigma: float) -> npt.NDArray[np.float32]:
    """A layer with premultiplied alpha, out of focus, over what lies behind."""
    layer = pixels.astype(np.float32)
    if sigma > 0.4:
        layer = np.asarray(
            cv2.GaussianBlur(layer, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32
        )
    return np.asarray(layer[..., :3] + behind * (1 - layer[..., 3:] / 255), np.float32)


def _vignette(canvas: Canvas) -> npt.NDArray[np.float32]:
    x = np.linspace(-1, 1, canvas.width, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, canvas.height, dtype=np.float32)[:, None]
    away = np.clip(np.sqrt(0.8 * x**2 + 0.9 * (y + 0.1) ** 2) - 0.45, 0, None)
    return (1 - 0.36 * away**1.4)[..., None]


def _fill(colour: str) -> skia.Paint:
    return skia.Paint(Color=argb(colour), AntiAlias=True)


def _ramp(at: tuple[float, float], to: tuple[float, float], *colours: str) -> skia.Paint:
    shader = skia.GradientShader.MakeLinear(
        [skia.Point(*at), skia.Point(*to)], [argb(one) for one in colours]
    )
    return skia.Paint(Shader=shader, AntiAlias=True)


def _glow(stage: _Stage, at: tuple[float, float], radius: float, colour: str, strength: float) -> None:
    red, green, blue, _ = rgba(colour)
    colours = [skia.Color(red, green, blue, round(255 * strength * share)) for share in (1, 0.42, 0.12, 0)]
    shader = skia.GradientShader.MakeRadial(skia.Point(*at), radius, colours, [0, 0.35, 0.7, 1])
    stage.drawn.drawCircle(*at, radius, skia.Paint(Shader=shader, AntiAlias=True))


def _box(
    stage: _Stage, x: float, y: float, width: float, height: float, brush: skia.Paint, round_by: float = 0.6
) -> None:
    stage.drawn.drawRoundRect(skia.Rect.MakeXYWH(x, y, width, height), round_by, round_by, brush)


def _wall(stage: _Stage, *colours: str) -> None:
    wall = _ramp((0, 0), (0, 100), *colours)
    stage.drawn.drawRect(skia.Rect.MakeLTRB(-stage.half - 1, -1, stage.half + 1, 101), wall)


def _studio_far(stage: _Stage) -> None:
    _wall(stage, "#27303d", "#1d2530", "#12171f")
    _glow(stage, (-0.62 * stage.half, 40), 62, stage.accent, 0.42)
    _glow(stage, (0.66 * stage.half, 30), 66, "#6a5cc8", 0.34)
    for x in np.arange(-stage.half, stage.half, 15.0):  # acoustic panels
        _box(stage, float(x) + 0.9, -2, 13.2, 104, _ramp((x, 0), (x + 14, 0), "#ffffff10", "#00000018"))


def _studio_near(stage: _Stage) -> None:
    for x, colour in ((-0.78 * stage.half, stage.accent), (0.8 * stage.half, "#8d7bff")):
        _glow(stage, (x, 46), 26, colour, 0.5)
        _box(stage, x - 0.9, 14, 1.8, 62, _fill(colour), 0.9)
        _box(stage, x - 0.35, 15, 0.7, 60, _fill("#ffffffd0"), 0.4)


def _office_far(stage: _Stage) -> None:
    _wall(stage, "#8d9aa6", "#a3abb0", "#8b8580")
    width = 0.98 * stage.half
    left = -0.92 * stage.half
    _box(stage, left, 6, width, 66, _ramp((0, 6), (0, 72), "#cfe3f2", "#eef4f6", "#d7d9d2"), 0.4)
    lots = np.random.default_rng(4)
    x = left + 1.0
    while x < left + width - 4:  # houses behind the window
        wide, high = float(lots.uniform(5, 10)), float(lots.uniform(14, 42))
        shade = int(lots.integers(150, 190))
        _box(
            stage,
            x,
            72 - high,
            min(wide, left + width - x),
            high,
            _fill(f"#{shade:02x}{shade + 12:02x}{shade + 26:02x}"),
        )
        x += wide * 0.8
    for x in (left, left + width / 3, left + 2 * width / 3, left + width):
        _box(stage, x - 0.7, 5, 1.4, 68, _fill("#4a525b"), 0.2)
    for y in (5.0, 71.5):
        _box(stage, left - 0.7, y, width + 1.4, 1.6, _fill("#4a525b"), 0.2)
    _glow(stage, (left + width / 2, 30), 60, "#ffffff", 0.35)


def _office_near(stage: _Stage) -> None:
    x = 0.36 * stage.half
    width = 0.56 * stage.half
    colours = ("#b4543f", "#d9a441", "#3f6f86", "#e9e2d4", "#5a7d5a", stage.accent, "#7a5a86", "#cfd6da")
    lots = np.random.default_rng(11)
    for board in (20.0, 40.0, 60.0):
        _box(stage, x, board + 14, width, 1.6, _fill("#6e5540"), 0.2)
        at = x + 1.5
        while at < x + width - 4:
            wide, high = float(lots.uniform(1.3, 2.8)), float(lots.uniform(8.5, 13))
            if lots.random() < 0.16:
                at += 5
                continue
            _box(
                stage,
                at,
                board + 14 - high,
                wide,
                high,
                _fill(colours[int(lots.integers(len(colours)))]),
                0.2,
            )
            at += wide + 0.15
    _box(
        stage, -stage.half - 2, 86, 2 * stage.half + 4, 20, _ramp((0, 86), (0, 100), "#7c6450", "#54412f"), 0
    )
    pot = -0.86 * stage.half
    _box(stage, pot - 4, 72, 8, 12, _ramp((pot - 4, 0), (pot + 4, 0), "#e4ddd2", "#aea596"), 1.2)
    for angle in np.linspace(-1.1, 1.1, 9):
        leaf = skia.Path()
        tip = (pot + 19 * np.sin(angle), 72 - 27 * np.cos(angle * 0.8))
        bend = (pot + 5 * np.sin(angle) - 3 * np.cos(angle), 62 - 8 * np.cos(angle))
        back = (pot + 11 * np.sin(angle) + 3 * np.cos(angle), 62 - 6 * np.cos(angle))
        leaf.moveTo(pot, 73)
        leaf.quadTo(*bend, *tip)
        leaf.quadTo(*back, pot, 73)
        stage.drawn.drawPath(leaf, _fill("#3c6b4a" if angle < 0 else "#4c8059"))


def _classroom_far(stage: _Stage) -> None:
    _wall(stage, "#e3dccb", "#d8cfba", "#b9ad94")
    _glow(stage, (-0.9 * stage.half, 20), 80, "#ffffff", 0.5)
    width = 1.5 * stage.half
    left = -width / 2
    _box(stage, left - 2, 8, width + 4, 58, _ramp((0, 8), (0, 66), "#9a7448", "#7b5a36"), 0.8)
    _box(stage, left, 10, width, 54, _ramp((left, 10), (-left, 64), "#2f5548", "#274a3f", "#2c5144"), 0.3)
    chalk = stroke("#e8efe6b0", 0.5)
    wave = skia.Path()
    for index, x in enumerate(np.linspace(left + 4, left + 0.3 * width, 60)):
        y = 28 + 6 * np.sin((x - left) * 0.42)
        wave.lineTo(x, y) if index else wave.moveTo(x, y)
    stage.drawn.drawPath(wave, chalk)
    stage.drawn.drawLine(left + 3, 40, left + 0.31 * width, 40, chalk)
    stage.drawn.drawLine(left + 4, 18, left + 4, 46, chalk)
    for x, radius in ((-left - 0.2 * width, 8.0), (-left - 0.07 * width, 2.6)):
        stage.drawn.drawCircle(x, 32, radius, chalk)
    _box(stage, left + 4, 66.5, width - 8, 1.4, _fill("#8a673f"), 0.3)


def _classroom_near(stage: _Stage) -> None:
    _box(
        stage, -stage.half - 2, 84, 2 * stage.half + 4, 20, _ramp((0, 84), (0, 100), "#a67c4f", "#7a5834"), 0
    )
    x = 0.78 * stage.half
    for number, colour in enumerate((stage.accent, "#c8553d", "#e0b04c")):
        _box(stage, x - 9 + number, 80.5 - 3.2 * number, 18 - 2 * number, 3.1, _fill(colour), 0.4)
    _glow(stage, (-0.8 * stage.half - 1.2, 71), 7.5, "#ffffff", 0.12)
    globe = -0.8 * stage.half
    sea = skia.GradientShader.MakeRadial(
        skia.Point(globe - 3, 66), 14, [argb("#8fc5e0"), argb("#3d82ab"), argb("#23597c")]
    )
    stage.drawn.drawCircle(globe, 70, 10, skia.Paint(Shader=sea, AntiAlias=True))
    for x, y, r in ((-3, -3, 3.4), (2.5, 1.0, 3.0), (3.2, -5.0, 1.8), (-2.0, 4.2, 2.0)):
        stage.drawn.drawCircle(globe + x, 70 + y, r, _fill("#7fa86a"))
    _box(stage, globe - 1, 79.5, 2, 4, _fill("#6c5236"), 0.2)
    _box(stage, globe - 5, 83, 10, 1.6, _fill("#6c5236"), 0.8)


def _plain_far(stage: _Stage) -> None:
    tone = np.array(rgba(stage.accent)[:3])
    shades = np.array([(222, 226, 231), (205, 211, 219), (168, 177, 189)])
    mixed = np.rint(0.9 * shades + 0.1 * tone).astype(int).tolist()
    _wall(stage, *("#" + "".join(f"{one:02x}" for one in shade) for shade in mixed))
    _glow(stage, (-0.35 * stage.half, 28), 75, "#ffffff", 0.65)


def _plain_near(stage: _Stage) -> None:
    """Leaves the wall as it is."""


_SETS: dict[str, tuple[Callable[[_Stage], None], Callable[[_Stage], None]]] = {
    "studio": (_studio_far, _studio_near),
    "office": (_office_far, _office_near),
    "classroom": (_classroom_far, _classroom_near),
    "plain": (_plain_far, _plain_near),
}
