"""A character ready to be drawn: compiled artwork, moving parts, order of painting. Used by the engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np
import skia

from avatar.engines.rig import geometry
from avatar.engines.rig.arms import ArmPair
from avatar.engines.rig.artwork import Art, Brows, Character, Linear
from avatar.engines.rig.eyes import EyePair
from avatar.engines.rig.mouth import MouthPart
from avatar.engines.rig.paint import clear, paint
from avatar.engines.rig.pieces import MovingArt, compile_pieces
from avatar.engines.rig.pose import Pose, surface
from avatar.engines.rig.sheet import Sheet
from avatar.engines.rig.textures import View
from avatar.engines.rig.torso import Torso, TorsoField

START_X = 12.0
RAISE, LOWER = 5.0, 3.2
"""Units that a brow moves at brow = +1 and -1."""
TILT, BLINK_DROP = 5.0, 0.9
_T = np.linspace(0.0, 1.0, 9)
JAW_Y, CHEST_Y = 70.0, 180.0
"""Above the first the neck moves with the head, below the second with the body."""
DEPTH = 10.0


class _Part(Protocol):
    def draw(self, canvas: skia.Canvas, pose: Pose) -> None: ...


class Figure:
    """Draws a pose on a canvas that is already scaled to units. Immutable: threads may share it."""

    def __init__(self, character: Character, view: View | None = None) -> None:
        self.character = character
        self._behind = Sheet(character.behind, view=view)
        self._hair_back = Sheet(character.hair_back, view=view)
        self._neck = Neck(character.neck, view)
        self._body = Torso(character.body, view)
        self._arms = None if character.arms is None else ArmPair(character.arms, character.skin)
        self._ears = Sheet(character.ears, view=view)
        self._face = Sheet(character.face_art, view=view)
        self._nose = Sheet(character.nose, view=view)
        self._hair_front = Sheet(character.hair_front, self._face.masks, view)
        self._glasses = Sheet(character.glasses, view=view)
        self._eyes = EyePair(character.eyes, character.skin, view)
        self._brows = BrowPair(character.brows)
        self._mouth = MouthPart(character.mouth, character.skin)
        self._on_head: tuple[_Part, ...] = (
            self._ears,
            self._face,
            self._nose,
            self._eyes,
            self._mouth,
            self._brows,
            self._glasses,
            self._hair_front,
        )

    def draw_behind(self, canvas: skia.Canvas) -> None:
        """Draw what stands still behind the figure: a wheelchair."""
        self._behind.draw_still(canvas)

    def draw(self, canvas: skia.Canvas, pose: Pose) -> None:
        """Draw the figure, without what stands still behind it."""
        self._hair_back.draw(canvas, pose)
        self._neck.draw(canvas, pose)
        self._body.draw(canvas, pose.torso)
        for part in self._on_head:
            part.draw(canvas, pose)
        if self._arms is not None:
            self._arms.draw(canvas, pose)


class BrowPair:
    """Both brows, thick inside and thin outside; the inner ends fade into the skin."""

    def __init__(self, style: Brows) -> None:
        bow = style.arch * np.sin(np.pi * _T**1.25)
        swell = 0.66 + 0.34 * np.sin(np.pi * np.clip(0.1 + 0.75 * _T, 0, 1))
        thick = style.thickness * swell * (1.0 - 0.95 * _T**2.4)
        thick[:2] *= (0.30, 0.86)
        x, y = START_X + style.length * _T, style.y - bow + 2.6 * _T**4
        self._ring = np.concatenate(
            [np.stack([x, y - thick / 2], axis=1), np.stack([x, y + thick / 2], axis=1)[::-1]]
        )
        travel = 0.75 + 0.5 * np.sin(np.pi * _T)
        self._travel = np.concatenate([travel, travel[::-1]])
        inner = 1.0 - 1.35 * _T
        self._inner = np.concatenate([inner, inner[::-1]])
        stops = (
            (clear(style.colour, 0.60), 0.0),
            (clear(style.colour, 0.86), 0.2),
            (clear(style.colour, 0.95), 1.0),
        )
        end = START_X + style.length
        self._paints = {s: paint(Linear((s * START_X, 0.0), (s * end, 0.0), stops)) for s in (-1.0, 1.0)}

    def draw(self, canvas: skia.Canvas, pose: Pose) -> None:
        ring = self._ring.copy()
        ring[:, 1] -= (RAISE if pose["brow"] > 0 else LOWER) * pose["brow"] * self._travel
        # Lids that press shut draw the brows down a little; a tilt raises or lowers the inner ends.
        ring[:, 1] += BLINK_DROP * pose["blink"] - TILT * pose["brow_tilt"] * self._inner
        canvas.save()
        canvas.concat(pose.head)
        control = geometry.loop(ring, (8, 9))
        depth = surface(control) + 3.0
        for side, brush in self._paints.items():
            placed = control * np.array([side, 1.0])
            turned = pose.turn(placed, depth)
            # The fade at the inner end goes along with the brow.
            shift = float(np.mean(turned[:, 0] - placed[:, 0]))
            canvas.save()
            canvas.translate(shift, 0.0)
            canvas.drawPath(geometry.path(turned - [shift, 0.0]), brush)
            canvas.restore()
        canvas.restore()


class Neck:
    """Goes from the head to the body; its shade stays where it is."""

    def __init__(self, art: Iterable[Art], view: View | None = None) -> None:
        self._art = MovingArt(compile_pieces(art, {}), view)
        control, self._anchors = np.split(self._art.points, [self._art.outlined])
        self._share = geometry.smoothstep(JAW_Y, CHEST_Y, control[:, 1])[:, None]
        self._terms = np.column_stack([control, np.full(len(control), DEPTH), np.ones(len(control))])
        self._field = TorsoField(control)

    def draw(self, canvas: skia.Canvas, pose: Pose) -> None:
        with_head = self._terms @ pose.on_head
        moved = with_head + (self._field.move(pose.torso) - with_head) * self._share
        self._art.draw(canvas, np.concatenate([moved, self._anchors]))
