"""A rectangle of a picture; the parts of the mesh engine say with it what they redraw."""

from __future__ import annotations

from dataclasses import dataclass

from avatar.face.landmarks import Picture


@dataclass(frozen=True, slots=True)
class Region:
    """Columns x .. x + width, rows y .. y + height, in pixels."""

    x: int
    y: int
    width: int
    height: int

    def of(self, picture: Picture) -> Picture:
        """The view of this rectangle in a picture (h, w, ...)."""
        return picture[self.y : self.y + self.height, self.x : self.x + self.width]
