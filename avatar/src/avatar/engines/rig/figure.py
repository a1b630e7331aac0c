"""A character ready to be drawn: compiled artwork, moving parts, order of painting. Used by the engine."""

from __future__ import annotations

from typing import Protocol

import skia

from avatar.engines.rig.artwork import Character
from avatar.engines.rig.brows import BrowPair
from avatar.engines.rig.eyes import EyePair
from avatar.engines.rig.mouth import MouthPart
from avatar.engines.rig.neck import Neck
from avatar.engines.rig.pose import Pose
from avatar.engines.rig.sheet import Sheet


class _Part(Protocol):
    def draw(self, canvas: skia.Canvas, pose: Pose) -> None: ...


class Figure:
    """Draws a pose on a canvas that is already scaled to units. Immutable: threads may share it."""

    def __init__(self, character: Character) -> None:
        self.character = character
        self._hair_back = Sheet(character.hair_back)
        self._neck = Neck(character.neck)
        self._body = Sheet(character.body)
        self._ears = Sheet(character.ears)
        self._face = Sheet(character.face_art)
        self._nose = Sheet(character.nose)
        self._hair_front = Sheet(character.hair_front, self._face.masks)
        self._glasses = Sheet(character.glasses)
        self._eyes = EyePair(character.eyes, character.skin)
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

    def draw(self, canvas: skia.Canvas, pose: Pose) -> None:
        canvas.save()
        canvas.concat(pose.head)
        self._hair_back.draw(canvas, pose)
        canvas.restore()
        self._neck.draw(canvas, pose)
        canvas.save()
        canvas.concat(pose.body)
        self._body.draw_still(canvas)
        canvas.restore()
        canvas.save()
        canvas.concat(pose.head)
        for part in self._on_head:
            part.draw(canvas, pose)
        canvas.restore()
