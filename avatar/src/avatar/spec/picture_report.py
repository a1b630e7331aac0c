"""Measurements of a picture; the answer of `avatar look`."""

from __future__ import annotations

from pydantic import Field

from avatar.spec.base import SpecModel


class FaceBox(SpecModel):
    """One face; the box is in pixels of the upright picture at its full size."""

    left: int
    top: int
    width: int
    height: int


class ColourShare(SpecModel):
    """One of the colours that make up most of the picture. `share` runs from 0 to 1."""

    colour: str = Field(pattern=r"^#[0-9a-f]{6}$")
    share: float = Field(ge=0, le=1)


class PictureReport(SpecModel):
    """A picture or a frame of a video. `at_ms` is None for a picture."""

    width: int
    height: int
    at_ms: int | None = None
    faces: tuple[FaceBox, ...] | None = Field(
        default=None, description="from left to right; None where this worker cannot find faces"
    )
    sharpness: float = Field(description="how sharp its sharpest parts are; below 0.3 it looks blurred")
    brightness: float = Field(ge=0, le=1, description="mean luma")
    contrast: float = Field(ge=0, le=1, description="between the dark and the bright tenth, in luma")
    underexposed: float = Field(ge=0, le=1, description="share of pixels that are all but black")
    overexposed: float = Field(ge=0, le=1, description="share of pixels that are all but white")
    colours: tuple[ColourShare, ...] = ()
