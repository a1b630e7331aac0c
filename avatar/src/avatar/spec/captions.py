"""Captions: where they go, how long their lines are, and how they look when they are drawn."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from avatar.spec.base import Colour, SpecModel


class CaptionStyle(SpecModel):
    """The look of burned captions. With `highlight` the word that is spoken stands out (karaoke)."""

    font: str | None = Field(
        default=None, max_length=80, description="a family of the machine that renders; None: its best"
    )
    weight: Literal["regular", "bold"] = "bold"
    size: float = Field(default=0.046, ge=0.02, le=0.15, description="of the letters, against the height")
    place: Literal["bottom", "middle", "top"] = "bottom"
    box: Colour | None = Field(default="#000000a8", description="behind the lines; null for none")
    outline: Colour | None = Field(default=None, description="around the letters")
    outline_width: float = Field(default=0.12, ge=0.0, le=0.4, description="against the size of the letters")
    highlight: Colour | None = Field(default=None, description="of the word that is spoken")


class Captions(SpecModel):
    """`soft` writes VTT and SRT beside the video, `burned` draws them into the picture, `both` does both."""

    mode: Literal["none", "soft", "burned", "both"] = "soft"
    colour: Colour = "#ffffff"
    max_chars_per_line: int = Field(
        default=42, ge=16, le=80, description="upright videos have at most 26: their letters are larger"
    )
    max_lines: int = Field(default=2, ge=1, le=3)
    style: CaptionStyle = CaptionStyle()

    @property
    def burned(self) -> bool:
        return self.mode in ("burned", "both")

    @property
    def soft(self) -> bool:
        return self.mode in ("soft", "both")
