"""Draws titles, lower thirds, lists, arrows and highlights as sprites; overlays open them."""

from __future__ import annotations

import cv2
import numpy as np
import skia

from avatar.compose.blend import Sprite
from avatar.compose.colour import Pixels
from avatar.compose.fonts import Fonts
from avatar.compose.layout import Rect, place, safe_area, shape_of
from avatar.compose.text import (
    TextStyle,
    argb,
    as_runs,
    blank,
    drawable,
    largest_fit,
    layout_text,
    panel,
    straight,
    stroke,
    text_in_box,
)
from avatar.spec import (
    ArrowOverlay,
    Canvas,
    HighlightOverlay,
    ImageOverlay,
    ListOverlay,
    LowerThirdOverlay,
    TextOverlay,
    TitleOverlay,
    VideoOverlay,
)

TITLE_SIZE, SUBTITLE_SIZE = 0.12, 0.052
NAME_SIZE, ROLE_SIZE = 0.05, 0.032
HEADING_SIZE, ITEM_SIZE = 0.05, 0.046
LABEL_SIZE = 0.042
"""Of the letters against the height at most; upright pictures count 0.6 of their height."""
_QUIET = "#d5dde6"
_STEPS = 64
BoxedOverlay = TextOverlay | ImageOverlay | VideoOverlay | TitleOverlay | LowerThirdOverlay | ListOverlay
"""Overlays that are drawn into a box."""


def unit_px(canvas: Canvas) -> float:
    """The height that sizes of words are shares of: words of upright pictures are as large as of lying ones
    of their width.
    """
    return min(float(canvas.height), 0.9 * canvas.width)


def title_card(overlay: TitleOverlay, canvas: Canvas, fonts: Fonts) -> Sprite:
    """Large words over a bar and smaller ones, in the middle of the box, with a soft shadow; all smaller
    where the box is too low for them.
    """
    area = area_of(overlay, canvas)
    room = (area.width, area.height)
    style = TextStyle(overlay.colour, bold=True, align=overlay.align, font=overlay.font)
    small = TextStyle(overlay.colour, bold=False, align=overlay.align, font=overlay.font)
    words = overlay.subtitle.strip()
    unit = unit_px(canvas)
    while True:
        title = _text(overlay.title, room, style, fonts, TITLE_SIZE * unit)
        subtitle = _text(words, room, small, fonts, SUBTITLE_SIZE * unit) if words else None
        gap = round(0.035 * unit)
        bar = round(0.008 * unit)
        height = title.Height + (2 * gap + bar + subtitle.Height if subtitle is not None else gap + bar)
        # The shadow needs air, too.
        if height + gap <= area.height or SUBTITLE_SIZE * unit < 6:
            break
        unit *= 0.94
    top = (area.height - height) / 2
    surface, pixels = blank(area.width, area.height)
    with surface as drawn:
        title.paint(drawn, 0, top)
        length = 0.16 * unit
        left = 0.0 if overlay.align == "left" else (area.width - length) / 2
        line = skia.Rect.MakeXYWH(left, top + title.Height + gap, length, bar)
        drawn.drawRoundRect(line, bar / 2, bar / 2, skia.Paint(Color=argb(overlay.accent), AntiAlias=True))
        if subtitle is not None:
            subtitle.paint(drawn, 0, top + title.Height + 2 * gap + bar)
    return Sprite(_with_shadow(straight(pixels), 0.012 * unit), area.x, area.y)


def lower_third(overlay: LowerThirdOverlay, canvas: Canvas, fonts: Fonts) -> Sprite:
    """A panel as wide as its words, with a bar in the accent's colour on the side of the picture's edge."""
    area = area_of(overlay, canvas)
    unit = unit_px(canvas)
    pad, bar = round(0.026 * unit), round(0.009 * unit)
    room = (area.width - 2 * pad - bar, area.height)
    name = _text(
        overlay.name,
        room,
        TextStyle(overlay.colour, align="left", font=overlay.font),
        fonts,
        NAME_SIZE * unit,
    )
    words = overlay.role.strip()
    quiet = TextStyle(_QUIET, bold=False, align="left", font=overlay.font)
    role = _text(words, room, quiet, fonts, ROLE_SIZE * unit) if words else None
    wide = max(name.LongestLine, role.LongestLine if role is not None else 0)
    width = min(area.width, round(wide) + 2 * pad + bar + 2)
    height = round(name.Height + (role.Height if role is not None else 0)) + round(1.3 * pad)
    surface, pixels = blank(width, height)
    right = overlay.side == "right"
    with surface as drawn:
        panel(drawn, width, height, 0.012 * unit, overlay.background)
        drawn.clipRRect(
            skia.RRect.MakeRectXY(skia.Rect.MakeWH(width, height), 0.012 * unit, 0.012 * unit), True
        )
        edge = skia.Rect.MakeXYWH(width - bar if right else 0, 0, bar, height)
        drawn.drawRect(edge, skia.Paint(Color=argb(overlay.accent), AntiAlias=True))
        left = pad if right else bar + pad
        name.paint(drawn, left, 0.6 * pad)
        if role is not None:
            role.paint(drawn, left, 0.6 * pad + name.Height)
    x = area.x + area.width - width if right else area.x
    return Sprite(straight(pixels), x, area.y + area.height - height)


def list_sprites(overlay: ListOverlay, canvas: Canvas, fonts: Fonts) -> tuple[Sprite | None, list[Sprite]]:
    """The panel with its heading (None where there is neither), and a sprite for each item; all smaller where
    the box is too low for them.
    """
    area = area_of(overlay, canvas)
    unit = unit_px(canvas)
    heading = overlay.heading.strip()
    marked = overlay.marker != "none"
    while True:
        pad = round(0.035 * unit)
        room = area.width - 2 * pad
        style = TextStyle(overlay.accent, align="left", font=overlay.font)
        quarter = (room, area.height // 4)
        head = _text(heading, quarter, style, fonts, HEADING_SIZE * unit) if heading else None
        top = pad + (round(head.Height) + round(0.6 * pad) if head is not None else 0)
        gap, size = 0.55 * pad, ITEM_SIZE * unit
        indent = round(1.6 * size) if marked else 0
        letters = TextStyle(overlay.colour, bold=False, align="left", font=overlay.font)
        blocks = [
            layout_text(as_runs(drawable(item.text, fonts)[0]), size, room - indent, letters, fonts)
            for item in overlay.items
        ]
        height = top + sum(block.Height + gap for block in blocks) - gap + pad
        if height <= area.height or size < 6:
            break
        unit *= 0.94
    whole = min(area.height, round(height))
    y0 = area.y + (area.height - whole) // 2
    back: Sprite | None = None
    if overlay.background is not None or head is not None:
        surface, pixels = blank(area.width, whole)
        with surface as drawn:
            if overlay.background is not None:
                panel(drawn, area.width, whole, 0.02 * unit, overlay.background)
            if head is not None:
                head.paint(drawn, pad, pad)
        back = Sprite(straight(pixels), area.x, y0)
    rows, y = [], float(top)
    for number, block in enumerate(blocks, start=1):
        surface, pixels = blank(area.width - pad, max(2, round(block.Height) + 2))
        with surface as drawn:
            if marked:
                _marker(
                    drawn,
                    overlay,
                    number,
                    size,
                    block.Height / max(1, round(block.Height / (1.25 * size))),
                    fonts,
                )
            block.paint(drawn, indent, 0)
        rows.append(Sprite(straight(pixels), area.x + pad, y0 + round(y)))
        y += block.Height + gap
    return back, rows


def arrow(overlay: ArrowOverlay, canvas: Canvas, fonts: Fonts, progress: float) -> Sprite:
    """The arrow as far as it is drawn at `progress`; its label is there from the first moment."""
    tail = np.array([overlay.tail.x * canvas.width, overlay.tail.y * canvas.height])
    head = np.array([overlay.head.x * canvas.width, overlay.head.y * canvas.height])
    along = head - tail
    across = np.array([-along[1], along[0]])
    middle = (tail + head) / 2 + overlay.bend * across
    t = np.linspace(0, max(0.02, min(1.0, progress)), _STEPS)[:, None]
    points = (1 - t) ** 2 * tail + 2 * t * (1 - t) * middle + t**2 * head
    width = overlay.width * canvas.height
    surface, pixels = blank(canvas.width, canvas.height)
    direction = points[-1] - points[-4]
    direction = direction / max(1e-6, float(np.hypot(*direction)))
    side = np.array([-direction[1], direction[0]])
    tip, barb = points[-1] + direction * 1.2 * width, 4.2 * width
    line = skia.Path()
    line.moveTo(*map(float, points[0]))
    for point in points[1:]:
        line.lineTo(*map(float, point))
    for sign in (1, -1):
        end = tip - direction * barb * 0.9 + sign * side * barb * 0.62
        line.moveTo(*map(float, end))
        line.lineTo(*map(float, tip))
    with surface as drawn:
        for colour, extra in (("#0a1018a0", 0.9 * width), (overlay.accent, 0.0)):
            brush = stroke(
                colour, width + extra, StrokeCap=skia.Paint.kRound_Cap, StrokeJoin=skia.Paint.kRound_Join
            )
            drawn.drawPath(line, brush)
    whole = straight(pixels)
    if overlay.label.strip():
        _put(whole, _label(overlay, canvas, fonts, tail, along))
    return _trimmed(whole)


def highlight(overlay: HighlightOverlay, canvas: Canvas) -> Sprite:
    """A frame around the box, rotated with it; with `dim` a veil over all the rest."""
    box = place(overlay.box, canvas)
    width = overlay.width * canvas.height
    surface, pixels = blank(canvas.width, canvas.height)
    shape = skia.Rect.MakeXYWH(box.x, box.y, box.width, box.height)
    outline = skia.Path()
    if overlay.shape == "ellipse":
        outline.addOval(shape)
    else:
        radius = 0.08 * min(box.width, box.height)
        outline.addRoundRect(shape, radius, radius)
    with surface as drawn:
        if overlay.rotation_deg:
            drawn.rotate(overlay.rotation_deg, box.x + box.width / 2, box.y + box.height / 2)
        if overlay.dim > 0:
            drawn.save()
            drawn.clipPath(outline, skia.ClipOp.kDifference, True)
            drawn.drawColor(skia.Color(6, 10, 16, round(255 * overlay.dim)))
            drawn.restore()
        for colour, extra in (("#0a101890", 0.8 * width), (overlay.accent, 0.0)):
            drawn.drawPath(outline, stroke(colour, width + extra))
    return _trimmed(straight(pixels))


def _text(
    text: str, room: tuple[int, int], style: TextStyle, fonts: Fonts, largest_px: float
) -> skia.textlayout.Paragraph:
    text = drawable(text, fonts)[0]
    size = largest_fit(text, room, style, fonts, largest_px)
    return layout_text(as_runs(text), size, room[0], style, fonts)


def _marker(
    drawn: skia.Canvas, overlay: ListOverlay, number: int, size: float, line: float, fonts: Fonts
) -> None:
    middle = line / 2
    brush = skia.Paint(Color=argb(overlay.accent), AntiAlias=True)
    if overlay.marker == "dot":
        drawn.drawCircle(0.45 * size, middle, 0.2 * size, brush)
    elif overlay.marker == "number":
        style = TextStyle(overlay.accent, align="left", font=overlay.font)
        layout_text(as_runs(f"{number}."), size, 3 * size, style, fonts).paint(drawn, 0, 0)
    else:
        brush = stroke(overlay.accent, 0.15 * size, StrokeCap=skia.Paint.kRound_Cap)
        tick = skia.Path()
        tick.moveTo(0.12 * size, middle)
        tick.lineTo(0.36 * size, middle + 0.24 * size)
        tick.lineTo(0.82 * size, middle - 0.28 * size)
        drawn.drawPath(tick, brush)


def _label(overlay: ArrowOverlay, canvas: Canvas, fonts: Fonts, tail: Pixels, along: Pixels) -> Sprite:
    unit = unit_px(canvas)
    if overlay.box is not None:
        box = place(overlay.box, canvas)
    else:
        wide, high = round(0.42 * unit), round(0.1 * unit)
        area = safe_area(canvas)
        x = (
            tail[0]
            - wide / 2
            - (0.35 * wide if along[0] > 0 else -0.35 * wide) * min(1, abs(along[0]) / unit)
        )
        y = tail[1] - high - 0.02 * unit if along[1] >= 0 else tail[1] + 0.02 * unit
        box = Rect(
            int(np.clip(x, area.x, area.x + area.width - wide)),
            int(np.clip(y, area.y, area.y + area.height - high)),
            wide,
            high,
        )
    style = TextStyle(overlay.colour, "#10202ce6", align="centre", font=overlay.font)
    return text_in_box(drawable(overlay.label, fonts)[0], box, style, fonts, LABEL_SIZE * unit)


def _put(whole: Pixels, sprite: Sprite) -> None:
    """Sets the sprite into a picture of the canvas' size that is empty there."""
    at = sprite.rect.within(Rect(0, 0, whole.shape[1], whole.shape[0]))
    part = sprite.pixels[at.y - sprite.y :, at.x - sprite.x :][: at.height, : at.width]
    target = whole[at.rows, at.columns]
    np.copyto(target, part, where=part[..., 3:] > target[..., 3:])


def _trimmed(whole: Pixels) -> Sprite:
    """The part of a picture that shows anything, as a sprite."""
    x, y, width, height = cv2.boundingRect(np.ascontiguousarray(whole[..., 3]))
    if width == 0:
        return Sprite(whole[:2, :2], 0, 0)
    return Sprite(np.ascontiguousarray(whole[y : y + height, x : x + width]), x, y)


def _with_shadow(pixels: Pixels, sigma: float) -> Pixels:
    """The picture over its own soft shadow: light words stay readable before light walls."""
    alpha = pixels[..., 3].astype(np.float32) / 255
    shadow = cv2.GaussianBlur(alpha, (0, 0), max(0.5, sigma)) * 0.75
    whole = alpha + shadow * (1 - alpha)
    colour = pixels[..., :3] * (alpha / np.maximum(whole, 1e-4))[..., None]
    return np.dstack([colour, whole * 255]).round().astype(np.uint8)


def area_of(overlay: BoxedOverlay, canvas: Canvas) -> Rect:
    """Returns the box of `overlay` in pixels; without one its usual place."""
    if overlay.box is not None:
        return place(overlay.box, canvas)
    if isinstance(overlay, LowerThirdOverlay):
        return _lower_third_place(canvas)
    return list_place(canvas) if isinstance(overlay, ListOverlay) else _title_place(canvas)


def _title_place(canvas: Canvas) -> Rect:
    area = safe_area(canvas)
    return Rect(area.x, area.y + round(0.14 * area.height), area.width, round(0.72 * area.height))


def _lower_third_place(canvas: Canvas) -> Rect:
    """Above the captions."""
    area = safe_area(canvas)
    above = round((0.14 if shape_of(canvas) == "16:9" else 0.2) * unit_px(canvas))
    return Rect(area.x, area.y + area.height // 2, area.width, area.height - area.height // 2 - above)


def list_place(canvas: Canvas) -> Rect:
    """Beside a speaker on the left; in upright and square pictures over their head."""
    area = safe_area(canvas)
    if shape_of(canvas) == "16:9":
        half = round(0.47 * area.width)
        return Rect(
            area.x + area.width - half, area.y + round(0.06 * area.height), half, round(0.74 * area.height)
        )
    return Rect(area.x, area.y, area.width, round(0.36 * area.height))
