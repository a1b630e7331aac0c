"""Moves lower thirds and lists without a box of their own to where they cover no face; the scene renderer and
gestures use it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from avatar.compose.fonts import Fonts
from avatar.compose.graphics import area_of, list_sprites, lower_third, unit_px
from avatar.compose.layout import Rect, face_of, head_of, place, safe_area, shape_of
from avatar.compose.seats import share_canvas
from avatar.spec import Box, Canvas, ListOverlay, LowerThirdOverlay, Overlay, Scene

NARROWEST, LOWEST = 0.22, 0.13
"""Of a list beside or below a face, against the canvas: in less its letters are too small."""


def faces_of(scene: Scene, canvas: Canvas) -> list[Rect]:
    """Returns where faces are on the canvas, also those of speakers who move there."""
    layouts = [one for one in share_canvas(scene.cast, canvas) if one.visible]
    boxes = [box for one in layouts for box in (one.box, *(move.box for move in one.moves))]
    return [face_of(place(box, canvas)) for box in boxes]


def free_place(
    overlay: Overlay, canvas: Canvas, fonts: Fonts, faces: Sequence[Rect], *, captions: bool
) -> Overlay:
    """Returns the overlay, with a box where its usual place would cover a face and another one does not.

    captions  whether captions are burned in, whose place lower thirds leave free
    """
    if not isinstance(overlay, LowerThirdOverlay | ListOverlay) or overlay.box is not None or not faces:
        return overlay
    heads = [head_of(face) for face in faces]
    others: Iterator[LowerThirdOverlay | ListOverlay]
    if isinstance(overlay, LowerThirdOverlay):
        others = _lower_thirds(overlay, canvas, heads, captions)
    else:
        others = _lists(overlay, canvas, heads)
    for candidate in chain([overlay], others):
        drawn = _drawn(candidate, canvas, fonts)
        if not any(_covers(drawn, head) for head in heads):
            return candidate
    return overlay


def _drawn(overlay: LowerThirdOverlay | ListOverlay, canvas: Canvas, fonts: Fonts) -> Rect:
    if isinstance(overlay, LowerThirdOverlay):
        return lower_third(overlay, canvas, fonts).rect
    panel, rows = list_sprites(overlay, canvas, fonts)
    whole = rows[0].rect if panel is None else panel.rect
    for row in rows:
        whole = whole.around(row.rect)
    return whole


def _lower_thirds(
    overlay: LowerThirdOverlay, canvas: Canvas, heads: Sequence[Rect], captions: bool
) -> Iterator[LowerThirdOverlay]:
    """Yields it in the captions' place where there are none, on the other side, and above the heads."""
    usual, safe = area_of(overlay, canvas), safe_area(canvas)
    if not captions:
        low = Rect(safe.x, usual.y, safe.width, safe.y + safe.height - usual.y)
        yield overlay.model_copy(update={"box": _share(low, canvas)})
    yield overlay.model_copy(update={"side": "left" if overlay.side == "right" else "right"})
    top = min(head.y for head in heads) - round(0.02 * unit_px(canvas))
    if top - safe.y > 0.2 * unit_px(canvas):
        above = Rect(safe.x, safe.y, safe.width, top - safe.y)
        yield overlay.model_copy(update={"box": _share(above, canvas)})


def _lists(overlay: ListOverlay, canvas: Canvas, heads: Sequence[Rect]) -> Iterator[ListOverlay]:
    """Yields it on the other side, beside the heads, and below them."""
    usual, safe = area_of(overlay, canvas), safe_area(canvas)
    gap = round(0.03 * unit_px(canvas))
    right = min(head.x for head in heads) - gap
    left = max(head.x + head.width for head in heads) + gap
    top = max(head.y + head.height for head in heads) + gap
    places: list[Rect] = []
    if shape_of(canvas) == "16:9":
        places = [
            Rect(safe.x, usual.y, usual.width, usual.height),
            Rect(left, usual.y, safe.x + safe.width - left, usual.height),
            Rect(safe.x, usual.y, right - safe.x, usual.height),
        ]
    below = Rect(safe.x, top, safe.width, safe.y + safe.height - top)
    for one in (*places, below):
        if one.width >= NARROWEST * canvas.width and one.height >= LOWEST * canvas.height:
            yield overlay.model_copy(update={"box": _share(one, canvas)})


def _covers(drawn: Rect, head: Rect) -> bool:
    """Returns whether a rectangle reaches into the ellipse that fills that of a head."""
    x, y = head.x + head.width / 2, head.y + head.height / 2
    across = (min(max(x, drawn.x), drawn.x + drawn.width) - x) / (head.width / 2)
    down = (min(max(y, drawn.y), drawn.y + drawn.height) - y) / (head.height / 2)
    return across**2 + down**2 < 1


def _share(rect: Rect, canvas: Canvas) -> Box:
    return Box(
        x=rect.x / canvas.width,
        y=rect.y / canvas.height,
        width=rect.width / canvas.width,
        height=rect.height / canvas.height,
    )
