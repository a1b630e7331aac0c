"""Words for how a video looks: the arguments that the tools of videos, projects and scripts share."""

from __future__ import annotations

from typing import Annotated, Literal

from avatar.spec import Background, Box, ColourBackground, SourceBackground, TextOverlay
from pydantic import AfterValidator, Field

from agent.colours import parse_colour

BLURRED = "blurred"
BLUR = 0.6

CaptionChoice = Literal["none", "soft", "burned", "both"]
CAPTIONS = "One of none, soft (files beside the video), burned (in the picture), both."


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


def heading_over(text: str) -> TextOverlay:
    """A title in the picture, in the upper left corner for as long as the scene lasts."""
    return TextOverlay(text=text, box=Box(x=0.05, y=0.06, width=0.5, height=0.12))
