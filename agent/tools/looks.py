"""Words for how a video looks: the arguments that the tools of videos, projects and scripts share."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from avatar.spec import (
    Background,
    Box,
    Captions,
    CaptionStyle,
    ColourBackground,
    SourceBackground,
    TextOverlay,
)
from pydantic import AfterValidator, Field

from agent.colours import parse_colour

BLURRED = "blurred"
BLUR = 0.6

CaptionChoice = Literal["none", "soft", "burned", "both"]
CAPTIONS = "One of none, soft (files beside the video), burned (in the picture), both."

CaptionSize = Literal["small", "normal", "large"]
CaptionPlace = Literal["bottom", "middle", "top"]
CAPTION_SIZE = "Of captions in the picture: one of small, normal, large."
CAPTION_PLACE = "Of captions in the picture: one of bottom, middle, top."
_SIZES: Mapping[CaptionSize, float] = MappingProxyType(
    {"small": 0.036, "normal": CaptionStyle().size, "large": 0.064}
)
"""Of the letters, against the height of the picture."""


def _known(value: str) -> str:
    return value if value == BLURRED else parse_colour(value)


# The limit stands at the text itself: around the whole union pydantic would measure None too, and break.
BackgroundChoice = Annotated[
    Annotated[str, Field(max_length=80), AfterValidator(_known)] | None,
    Field(description="A colour, such as navy or #1b2733, or “blurred”."),
]


def background_of(choice: str | None) -> Background | None:
    """Returns the background as the spec has it; None leaves it to the persona."""
    if choice is None:
        return None
    return SourceBackground(blur=BLUR) if choice == BLURRED else ColourBackground(colour=choice)


def captions_of(
    before: Captions, mode: CaptionChoice | None, size: CaptionSize | None, place: CaptionPlace | None
) -> Captions:
    """Returns captions with what is not None changed. Only those in the picture have a size and a place."""
    style: dict[str, object] = {"size": _SIZES[size]} if size is not None else {}
    style |= {"place": place} if place is not None else {}
    if mode is None and style and not before.burned:
        mode = "burned"
    changed: dict[str, object] = {} if mode is None else {"mode": mode}
    return before.model_copy(update={**changed, "style": before.style.model_copy(update=style)})


def heading_over(text: str) -> TextOverlay:
    """A title in the picture, in the upper left corner for as long as the scene lasts."""
    return TextOverlay(text=text, box=Box(x=0.05, y=0.06, width=0.5, height=0.12))
