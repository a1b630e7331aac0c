"""The camera of a scene, the way it comes after the one before, and the music under the film."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from avatar.spec.base import MediaRef, SpecModel
from avatar.spec.overlay import Anchor, TimeAnchor

Framing = Literal["bust", "close", "half", "side_left", "side_right", "picture_in_picture", "voice_over"]
"""bust: head and shoulders; close: the face; half: smaller, with air above; side_left and side_right: beside
what lies on the other side; picture_in_picture: small, in a corner; voice_over: not seen at all.
"""


class CameraCut(SpecModel):
    """A harder look or a wider one from a moment on, without a new scene."""

    at: Anchor
    framing: Literal["bust", "close"]


class Camera(SpecModel):
    """Says where the speaker stands and how the camera looks. Words and captions stay where they are."""

    framing: Framing | None = Field(default=None, description="None: as `layout` says")
    push_in: float = Field(
        default=0.0,
        ge=-0.3,
        le=0.3,
        description="how much nearer the camera is at the end of the scene: 0.06 is a slow push-in; less than"
        " 0 draws back",
    )
    cuts: tuple[CameraCut, ...] = Field(default=(), max_length=200)
    cut_at_sentences: bool = Field(
        default=False, description="cut between bust and close at ends of sentences, four seconds apart"
    )

    @property
    def moves(self) -> bool:
        return self.push_in != 0 or bool(self.cuts) or self.cut_at_sentences


class Transition(SpecModel):
    """Says how a scene comes after the one before. Both move on meanwhile: the film is shorter by that."""

    kind: Literal["cut", "dissolve", "wipe", "slide", "fade"] = "cut"
    duration_ms: int = Field(default=600, ge=40, le=5000)
    direction: Literal["left", "right", "up", "down"] = Field(
        default="left", description="where a wipe or a slide goes"
    )


class Music(SpecModel):
    """A music bed under the whole film, as loud against the voice as is said here whatever the file's level.

    A file that is shorter than the film begins again, one that is longer is faded out.
    """

    audio: MediaRef
    level_db: float = Field(default=-12.0, ge=-60.0, le=6.0, description="against the voice, where none is")
    duck_db: float = Field(default=-10.0, ge=-60.0, le=0.0, description="further down while somebody speaks")
    fade_in_ms: int = Field(default=800, ge=0, le=30_000)
    fade_out_ms: int = Field(default=2500, ge=0, le=30_000)
    from_ms: int = Field(default=0, ge=0, description="the moment of the file that it begins with")
    loop: bool = True


class SoundEffect(SpecModel):
    """A sound at a moment of the scene, under the voice."""

    audio: MediaRef
    start: Anchor = TimeAnchor(ms=0)
    gain_db: float = Field(default=-6.0, ge=-60.0, le=12.0)
    fade_ms: int = Field(default=20, ge=0, le=5000)
