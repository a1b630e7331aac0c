"""Describes what lies over the picture of a scene: words, pictures, lists, arrows; when and how it comes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from avatar.spec.base import Colour, MediaRef, SpecModel

Fraction = Annotated[float, Field(ge=-1.0, le=2.0)]
FontName = Annotated[str, Field(min_length=1, max_length=80)]


class Box(SpecModel):
    """A rectangle in fractions of the canvas; (0, 0) is the top left corner."""

    x: Fraction = 0.0
    y: Fraction = 0.0
    width: float = Field(default=1.0, gt=0, le=2.0)
    height: float = Field(default=1.0, gt=0, le=2.0)


class Crop(SpecModel):
    """The part of a picture that is shown, in fractions of it."""

    x: float = Field(default=0.0, ge=0.0, lt=1.0)
    y: float = Field(default=0.0, ge=0.0, lt=1.0)
    width: float = Field(default=1.0, gt=0.0, le=1.0)
    height: float = Field(default=1.0, gt=0.0, le=1.0)


class Point(SpecModel):
    """A place in fractions of the canvas."""

    x: Fraction
    y: Fraction


class TimeAnchor(SpecModel):
    """A moment of the scene, from its start."""

    at: Literal["time"] = "time"
    ms: int = Field(ge=0)


class WordAnchor(SpecModel):
    """The start or end of a word of the script: it moves with the voice. `occurrence` counts from 1."""

    at: Literal["word"] = "word"
    word: str = Field(min_length=1)
    occurrence: int = Field(default=1, ge=1)
    edge: Literal["start", "end"] = "start"
    offset_ms: int = 0


Anchor = Annotated[TimeAnchor | WordAnchor, Field(discriminator="at")]


class Animation(SpecModel):
    """Says how an overlay comes or goes. Slides go as they are named; `wipe` uncovers from the left."""

    kind: Literal["none", "fade", "slide_left", "slide_right", "slide_up", "slide_down", "pop", "wipe"] = (
        "fade"
    )
    ms: int = Field(default=350, ge=0, le=5000)


class _Overlay(SpecModel):
    start: Anchor = TimeAnchor(ms=0)
    end: Anchor | None = Field(default=None, description="None: until the scene ends")
    fade_ms: int = Field(default=200, ge=0, le=5000)
    enter: Animation | None = Field(default=None, description="None: a fade of `fade_ms`")
    leave: Animation | None = Field(default=None, description="None: a fade of `fade_ms`")
    opacity: float = Field(default=1.0, ge=0.0, le=1.0)
    z: int = Field(
        default=0, ge=-100, le=100, description="higher ones lie over lower ones, equal ones as listed"
    )


class _Boxed(_Overlay):
    rotation_deg: float = Field(
        default=0.0,
        ge=-180.0,
        le=180.0,
        description="clockwise, about the middle of the box; of the usual place where there is no box",
    )


class TextOverlay(_Boxed):
    kind: Literal["text"] = "text"
    box: Box
    text: str = Field(min_length=1, max_length=2000)
    font: FontName | None = None
    colour: Colour = "#ffffff"
    background: Colour | None = "#000000b0"
    weight: Literal["regular", "bold"] = "bold"
    align: Literal["left", "centre", "right"] = "left"
    size: float = Field(default=0.12, ge=0.01, le=0.5, description="largest letters, against the height")


class _Media(_Boxed):
    box: Box
    fit: Literal["contain", "cover", "stretch"] = "contain"
    crop: Crop | None = None
    corner_radius: float = Field(default=0.0, ge=0.0, le=0.5, description="against the shorter side")


class ImageOverlay(_Media):
    kind: Literal["image"] = "image"
    image: MediaRef


class VideoOverlay(_Media):
    """It plays from when it is first seen; its sound lies under the voice for as long as it is seen."""

    kind: Literal["video"] = "video"
    video: MediaRef
    from_ms: int = Field(default=0, ge=0, description="the moment of the file that it begins with")
    until_ms: int | None = Field(default=None, gt=0, description="the moment of the file that it ends with")
    loop: bool = Field(default=False, description="begin again at its end; else the last picture stays")
    gain_db: float | None = Field(
        default=-12.0, ge=-60.0, le=12.0, description="of its sound, against the file; null keeps it mute"
    )

    @model_validator(mode="after")
    def _has_length(self) -> VideoOverlay:
        if self.until_ms is not None and self.until_ms <= self.from_ms:
            raise ValueError("`until_ms` must lie behind `from_ms`")
        return self


class _Words(_Overlay):
    box: Box | None = Field(default=None, description="None: the usual place for it inside the safe area")
    font: FontName | None = None
    colour: Colour = "#ffffff"
    accent: Colour = "#35b6c9"


class TitleOverlay(_Words, _Boxed):
    """A title card's words: a large line, a bar in the accent's colour, a smaller line."""

    kind: Literal["title"] = "title"
    title: str = Field(min_length=1, max_length=200)
    subtitle: str = Field(default="", max_length=300)
    align: Literal["left", "centre"] = "centre"


class LowerThirdOverlay(_Words, _Boxed):
    """Name and role of who speaks, low on one side of the picture."""

    kind: Literal["lower_third"] = "lower_third"
    name: str = Field(min_length=1, max_length=120)
    role: str = Field(default="", max_length=160)
    side: Literal["left", "right"] = "left"
    background: Colour = "#10202ce6"


class ListItem(SpecModel):
    """A line of a list. Without `at` it comes evenly spread between its neighbours."""

    text: str = Field(min_length=1, max_length=200)
    at: Anchor | None = None


class ListOverlay(_Words, _Boxed):
    """A list whose items come one after the other, with the words they belong to."""

    kind: Literal["list"] = "list"
    heading: str = Field(default="", max_length=120)
    items: tuple[ListItem, ...] = Field(min_length=1, max_length=12)
    marker: Literal["dot", "number", "check", "none"] = "dot"
    background: Colour | None = "#10202cd9"


class ArrowOverlay(_Words):
    """An arrow that draws itself from `tail` to `head`, with a label at its tail."""

    kind: Literal["arrow"] = "arrow"
    tail: Point
    head: Point
    bend: float = Field(default=0.18, ge=-1.0, le=1.0, description="how far it bows, against its length")
    label: str = Field(default="", max_length=120)
    width: float = Field(default=0.007, ge=0.001, le=0.05, description="of its line, against the height")


class HighlightOverlay(_Boxed):
    """A frame around a part of the picture; `dim` darkens all the rest."""

    kind: Literal["highlight"] = "highlight"
    box: Box
    shape: Literal["rectangle", "ellipse"] = "rectangle"
    accent: Colour = "#ffc94d"
    width: float = Field(default=0.006, ge=0.001, le=0.05, description="of its line, against the height")
    dim: float = Field(default=0.0, ge=0.0, le=0.9)


Overlay = Annotated[
    TextOverlay
    | ImageOverlay
    | VideoOverlay
    | TitleOverlay
    | LowerThirdOverlay
    | ListOverlay
    | ArrowOverlay
    | HighlightOverlay,
    Field(discriminator="kind"),
]
