"""One scene: what is said, by whom, where they stand, what lies behind and over them."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal

from pydantic import Field, model_validator

from avatar.spec.acting import Mood, check_acting_marks
from avatar.spec.base import Colour, MediaRef, SpecModel
from avatar.spec.camera import Camera, SoundEffect, Transition
from avatar.spec.movement import Movement
from avatar.spec.needs import Requirements
from avatar.spec.overlay import Box, Overlay
from avatar.spec.persona import Face, FliteVoice, RigFace, Voice

MAX_SCRIPT_CHARS = 200_000
_SPOKEN = frozenset(("Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Nl", "No", "So", "Sm", "Sc"))
"""Unicode categories that are said: letters, numbers, symbols."""


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


class SetBackground(SpecModel):
    """A room that is drawn, out of focus behind the speaker, with light that fits the figure."""

    kind: Literal["set"] = "set"
    name: Literal["studio", "office", "classroom", "plain"] = "studio"
    light: Literal["neutral", "warm", "cool"] = "neutral"
    accent: Colour = "#35b6c9"
    depth: float = Field(default=0.5, ge=0.0, le=1.0, description="of field: how far it is out of focus")


Background = Annotated[
    ColourBackground | ImageBackground | VideoBackground | SourceBackground | SetBackground,
    Field(discriminator="kind"),
]


class Scene(SpecModel):
    """The unit that is rendered, cached and retried. `script` marks: `[pause 500ms]`, `*emphasis*`,
    `[mood warm]`, `[gesture wave]`, and SSML: `break`, `emphasis`, `sub`, `say-as`, `prosody rate`. Without
    script and audio it is silent for `duration_ms`: a title card.
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
        default="neutral",
        description="of brows, lids, mouth, head and voice; `[mood …]` in the script changes it",
    )
    layout: AvatarLayout = AvatarLayout()
    background: Background = SourceBackground()
    overlays: tuple[Overlay, ...] = ()
    camera: Camera = Camera()
    transition: Transition = Transition()
    sounds: tuple[SoundEffect, ...] = Field(default=(), max_length=100)
    lead_in_ms: int = Field(default=300, ge=0, le=10_000)
    tail_ms: int = Field(default=500, ge=0, le=10_000)
    duration_ms: int | None = Field(
        default=None,
        ge=10,
        le=7_200_000,
        description="wished length with lead-in and tail, met by the pace and the pauses of the speech as far"
        " as it still sounds natural; a notice `speech.duration_missed` says when it is not",
    )
    requirements: Requirements = Requirements()

    @model_validator(mode="after")
    def _says_something(self) -> Scene:
        if self.silent and self.duration_ms is None:
            raise ValueError("a scene needs a script or an audio file, or as a silent one a `duration_ms`")
        check_acting_marks(self.script or "")
        return self

    @property
    def silent(self) -> bool:
        """Nobody speaks: its length is `duration_ms`."""
        return self.audio is None and not (self.script or "").strip()

    @property
    def speaker_visible(self) -> bool:
        return self.layout.visible and self.camera.framing != "voice_over"


def is_spoken(text: str) -> bool:
    """True with at least one letter, digit or symbol such as an emoji, % or +; voices say symbols by name."""
    return any(char in "%&@#" or unicodedata.category(char) in _SPOKEN for char in text)
