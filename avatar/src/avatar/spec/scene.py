"""One scene: what is said, by whom, where they stand, what lies behind and over them."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal

from pydantic import Field, model_validator

from avatar.spec.acting import Mood, check_acting_marks
from avatar.spec.base import Colour, MediaRef, SpecModel
from avatar.spec.movement import Movement
from avatar.spec.needs import Requirements
from avatar.spec.persona import Face, FliteVoice, RigFace, Voice

Fraction = Annotated[float, Field(ge=-1.0, le=2.0)]

MAX_SCRIPT_CHARS = 200_000
_SPOKEN = frozenset(("Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Nl", "No", "So", "Sm", "Sc"))
"""Unicode categories that are said: letters, numbers, symbols."""


class Box(SpecModel):
    """A rectangle in fractions of the canvas; (0, 0) is the top left corner."""

    x: Fraction = 0.0
    y: Fraction = 0.0
    width: float = Field(default=1.0, gt=0, le=2.0)
    height: float = Field(default=1.0, gt=0, le=2.0)


class AvatarLayout(SpecModel):
    """The place of the speaker. `shape` cuts the box; `fit` says how the engine's picture fills it."""

    box: Box = Box()
    shape: Literal["rectangle", "rounded", "circle"] = "rectangle"
    fit: Literal["cover", "contain"] = "cover"
    visible: bool = True


class ColourBackground(SpecModel):
    kind: Literal["colour"] = "colour"
    colour: Colour = "#1b2733"
    to_colour: Colour | None = Field(default=None, description="set for a vertical gradient")


class ImageBackground(SpecModel):
    kind: Literal["image"] = "image"
    image: MediaRef
    blur: float = Field(default=0.0, ge=0.0, le=1.0)


class VideoBackground(SpecModel):
    kind: Literal["video"] = "video"
    video: MediaRef
    blur: float = Field(default=0.0, ge=0.0, le=1.0)


class SourceBackground(SpecModel):
    """Keep the background of the photo or video itself; `blur` > 0 blurs it behind the person."""

    kind: Literal["source"] = "source"
    blur: float = Field(default=0.0, ge=0.0, le=1.0)


Background = Annotated[
    ColourBackground | ImageBackground | VideoBackground | SourceBackground, Field(discriminator="kind")
]


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


class _Overlay(SpecModel):
    start: Anchor = TimeAnchor(ms=0)
    end: Anchor | None = Field(default=None, description="None: until the scene ends")
    box: Box
    fade_ms: int = Field(default=200, ge=0, le=5000)
    opacity: float = Field(default=1.0, ge=0.0, le=1.0)


class TextOverlay(_Overlay):
    kind: Literal["text"] = "text"
    text: str = Field(min_length=1, max_length=2000)
    colour: Colour = "#ffffff"
    background: Colour | None = "#000000b0"
    weight: Literal["regular", "bold"] = "bold"
    align: Literal["left", "centre", "right"] = "left"


class ImageOverlay(_Overlay):
    kind: Literal["image"] = "image"
    image: MediaRef


class VideoOverlay(_Overlay):
    """It plays from when it is first seen; its sound lies under the voice for as long as it is seen."""

    kind: Literal["video"] = "video"
    video: MediaRef
    gain_db: float | None = Field(
        default=-12.0, ge=-60.0, le=12.0, description="of its sound, against the file; null keeps it mute"
    )


Overlay = Annotated[TextOverlay | ImageOverlay | VideoOverlay, Field(discriminator="kind")]


class Scene(SpecModel):
    """The unit that is rendered, cached and retried. `script` marks: `[pause 500ms]`, `*emphasis*`,
    `[mood warm]`, `[gesture wave]`, and SSML: `break`, `emphasis`, `sub`, `say-as`, `prosody rate`.
    """

    id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    script: str | None = Field(default=None, max_length=MAX_SCRIPT_CHARS)
    audio: MediaRef | None = Field(
        default=None, description="supplied speech; `script` is then its transcript"
    )
    language: str = Field(default="en-us", max_length=35)
    pronunciation: dict[str, str] = Field(default_factory=dict, description="word -> respelling, or /IPA/")
    face: Face = RigFace()
    voice: Voice = FliteVoice()
    movement: Movement = Movement()
    mood: Mood = Field(
        default="neutral", description="of brows, lids, mouth and head; `[mood …]` in the script changes it"
    )
    layout: AvatarLayout = AvatarLayout()
    background: Background = SourceBackground()
    overlays: tuple[Overlay, ...] = ()
    lead_in_ms: int = Field(default=300, ge=0, le=10_000)
    tail_ms: int = Field(default=500, ge=0, le=10_000)
    duration_ms: int | None = Field(
        default=None,
        ge=100,
        le=7_200_000,
        description="wished length with lead-in and tail, met by the pace and the pauses of the speech as far"
        " as it still sounds natural; a notice `speech.duration_missed` says when it is not",
    )
    requirements: Requirements = Requirements()

    @model_validator(mode="after")
    def _says_something(self) -> Scene:
        if self.audio is None and not (self.script or "").strip():
            raise ValueError("a scene needs a script or an audio file")
        check_acting_marks(self.script or "")
        return self


def is_spoken(text: str) -> bool:
    """True with at least one letter, digit or symbol such as an emoji, % or +; voices say symbols by name."""
    return any(char in "%&@#" or unicodedata.category(char) in _SPOKEN for char in text)
