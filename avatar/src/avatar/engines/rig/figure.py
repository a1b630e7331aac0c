"""A character ready to be drawn: compiled artwork, moving parts, and the order they are painted in. Used by the engine."""

from __future__ import annotations

import numpy as np
import skia

from avatar.engines.rig import geometry
from avatar.engines.rig.artwork import Character
from avatar.engines.rig.eyes import BrowPair, EyePair
from avatar.engines.rig.mouth import MouthPart
from avatar.engines.rig.pose import Pose, mapped
from avatar.engines.rig.paint import paint
from avatar.engines.rig.sheet import Sheet


class Figure:
    """Draws a pose on a canvas that is already scaled to units. Immutable: threads may share it."""

    def __init__(self, character: Character) -> None:
        self.character = character
        face = Sheet(character.face_art)
        self._hair_back = Sheet(character.hair_back)
        self._neck = Sheet(character.neck)
        self._body = Sheet(character.body)
        self._ears = Sheet(character.ears)
        self._face = face
        self._nose = Sheet(character.nose)
        self._over_mouth = Sheet(character.over_mouth, face.masks)
        self._hair_front = Sheet(character.hair_front, face.masks)
        self._glasses = Sheet(character.glasses)
        self._eyes = EyePair(character.eyes, character.skin)
        self._brows = BrowPair(character.brows)
        self._mouth = MouthPart(character.mouth)

    def draw(self, canvas: skia.Canvas, pose: Pose) -> None:
        with skia.AutoCanvasRestore(canvas):
            canvas.concat(pose.head)
            self._hair_back.draw(canvas, pose)
        self._draw_neck(canvas, pose)
        with skia.AutoCanvasRestore(canvas):
            canvas.concat(pose.body)
            self._body.draw_still(canvas)
        with skia.AutoCanvasRestore(canvas):
            canvas.concat(pose.head)
            self._ears.draw(canvas, pose)
            self._face.draw(canvas, pose)
            self._nose.draw(canvas, pose)
            self._eyes.draw(canvas, pose)
            self._mouth.draw(canvas, pose)
            self._over_mouth.draw(canvas, pose)
            self._brows.draw(canvas, pose)
            self._glasses.draw(canvas, pose)
            self._hair_front.draw(canvas, pose)

    def _draw_neck(self, canvas: skia.Canvas, pose: Pose) -> None:
        """The neck follows the head at its top and the body at its foot."""
        for piece in self._neck.pieces:
            path = skia.Path()
            for control in piece.contours:
                t = np.clip((control[:, 1] - 70.0) / 110.0, 0.0, 1.0)
                share = (t * t * (3.0 - 2.0 * t))[:, None]
                above = mapped(pose.head, pose.turn(control, 10.0))
                below = mapped(pose.body, control)
                geometry.add(path, above * (1.0 - share) + below * share, piece.closed)
            canvas.drawPath(path, paint(piece.fill))
