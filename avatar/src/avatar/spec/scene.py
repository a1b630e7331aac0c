"""One scene: what is said, by whom, where they stand, what lies behind and over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from avatar.spec.acting import SPEAKER_NAME, Mood, Turn, check_acting_marks, split_turns
from avatar.spec.base import Colour, MediaRef, SpecModel
from avatar.spec.camera import Camera, SoundEffect, Transition
from avatar.spec.movement import Movement
from avatar.spec.needs import Requirements
from avatar.spec.overlay import Anchor, Box, Overlay
from avatar.spec.persona import Face, FliteVoice, RigFace, Voice

MAX_SCRIPT_CHARS = 200_000


class LayoutMove(SpecModel):
    """From a moment on, the speaker's box goes to another one, slowly at both ends."""

    at: Anchor
    box: Box
    ms: int = Field(default=600, ge=0, le=10_000, description="how long it takes; 0 jumps")


class AvatarLayout(SpecModel):
    """The place of the speaker. `shape` cuts the box; `fit` says how the engine's picture fills it."""

    box: Box = Box()
    shape: Literal["rectangle", "rounded", "circle"] = "rectangle"
    fit: Literal["cover", "contain"] = "cover"
    visible: bool = True
    moves: tuple[LayoutMove, ...] = Field(default=(), max_length=50)


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


HOST = "host"
"""The scene's own speaker, in `[speaker host]`."""
MAX_GUESTS = 3
_OWN_FIELDS = ("face", "voice", "movement", "mood", "layout")
"""Fields of a scene that each speaker has, too."""


class Speaker(SpecModel):
    """Another speaker of a scene: says what stands behind `[speaker NAME]` in the script, listens else."""

    name: str = Field(pattern=f"^{SPEAKER_NAME}$")
    face: Face = RigFace()
    voice: Voice = FliteVoice()
    movement: Movement = Movement()
    mood: Mood = "neutral"
    layout: AvatarLayout = Field(
        default=AvatarLayout(), description="with the whole canvas as box all speakers share it evenly"
    )


class Scene(SpecModel):
    """The unit that is rendered, cached and retried. `script` marks: `[pause 500ms]`, `*emphasis*`,
    `[mood warm]`, `[gesture wave]`, `[speaker mei]`, and SSML: `break`, `emphasis`, `sub`, `say-as`,
    `prosody rate`. Without script and audio it is silent for `duration_ms`: a title card.
    """

    id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    script: str | None = Field(default=None, max_length=MAX_SCRIPT_CHARS)
    audio: MediaRef | None = Field(
        default=None, description="supplied speech; `script` is then its transcript"
    )
    audio_from_voice: bool = Field(
        default=False, description="`audio` was spoken by `voice`: its engine, consent and kind count"
    )
    off_camera: bool = Field(
        default=False,
        description="the voice is of somebody who is not in the picture: the speaker listens",
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
    speakers: tuple[Speaker, ...] = Field(
        default=(), max_length=MAX_GUESTS, description="others in the scene; `camera.framing` is not for them"
    )
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
        self._check_speakers()
        return self

    def _check_speakers(self) -> None:
        names = [speaker.name for speaker in self.speakers]
        if HOST in names or len(set(names)) != len(names):
            raise ValueError(f"names of speakers differ from each other and from {HOST!r}")
        if names and (self.audio is not None or self.duration_ms is not None or self.off_camera):
            raise ValueError("a scene with several speakers takes no `audio`, `duration_ms` or `off_camera`")
        for turn in self.turns:
            if turn.speaker not in (HOST, *names):
                known = ", ".join((HOST, *names))
                raise ValueError(f"there is no speaker {turn.speaker!r} in this scene; there are: {known}")

    @property
    def silent(self) -> bool:
        """Nobody speaks: its length is `duration_ms`."""
        return self.audio is None and not (self.script or "").strip()

    @property
    def has_foreign_sound(self) -> bool:
        """Returns whether the speech was supplied, and no voice of the spec has spoken it."""
        return self.audio is not None and not self.audio_from_voice

    @property
    def speaker_visible(self) -> bool:
        return self.layout.visible and self.camera.framing != "voice_over"

    @property
    def host(self) -> Speaker:
        """The scene's own speaker, as the others are."""
        own = {name: getattr(self, name) for name in _OWN_FIELDS}
        return Speaker.model_construct(name=HOST, **own)

    @property
    def all_speakers(self) -> tuple[Speaker, ...]:
        """All speakers, the scene's own first."""
        return (self.host, *self.speakers)

    @property
    def cast(self) -> tuple[Speaker, ...]:
        """All speakers as they are staged: nobody is visible in a voice-over."""
        cast = self.all_speakers
        if self.camera.framing != "voice_over":
            return cast
        hidden = AvatarLayout(visible=False)
        return tuple(speaker.model_copy(update={"layout": hidden}) for speaker in cast)

    @property
    def faces(self) -> tuple[Face, ...]:
        """The faces that are seen."""
        return tuple(speaker.face for speaker in self.cast if speaker.layout.visible)

    @property
    def voices(self) -> tuple[Voice, ...]:
        """The voices that are heard, each speaker's once; none for a foreign sound or a silent scene."""
        if self.silent or self.has_foreign_sound:
            return ()
        speaking = {turn.speaker for turn in self.turns}
        return tuple(speaker.voice for speaker in self.cast if speaker.name in speaking)

    @property
    def turns(self) -> tuple[Turn, ...]:
        return tuple(split_turns(self.script or "", HOST))

    def of_turn(self, turn: Turn) -> Scene:
        """Returns a scene in which the speaker of a turn says it alone, without silence around it."""
        [speaker] = [one for one in self.cast if one.name == turn.speaker]
        return self.of_speaker(speaker, turn.text).model_copy(update={"lead_in_ms": 0, "tail_ms": 0})

    def of_speaker(self, speaker: Speaker, script: str) -> Scene:
        """Returns a scene in which a speaker of this one is alone and says `script`."""
        own = {name: getattr(speaker, name) for name in _OWN_FIELDS}
        return self.model_copy(update={**own, "script": script, "speakers": ()})

    def with_cast(self, cast: Sequence[Speaker]) -> Scene:
        """Returns the scene with other faces and voices, those of `cast`, which is as `all_speakers`."""
        host, *others = cast
        return self.model_copy(update={"face": host.face, "voice": host.voice, "speakers": tuple(others)})
