"""Wire types of scenes: the worker's Scene, with a persona in the place of face and voice."""

from __future__ import annotations

from datetime import datetime

from avatar.spec import AvatarLayout, Background, Camera, MediaRef, Mood, Overlay, SoundEffect, Transition
from avatar.spec.scene import MAX_GUESTS, MAX_SCRIPT_CHARS
from avatar.spec.speech_sheet import TimedWord
from pydantic import BaseModel, Field

from soundstage.one_line import OneLine


class SceneSpeaker(BaseModel, extra="forbid"):
    """Another speaker of a scene, `[speaker PERSONA]` in the script. None of `mood` and `layout`: the
    persona's; who has the whole picture as layout shares it with the others.
    """

    persona: str = Field(max_length=80)
    mood: Mood | None = None
    layout: AvatarLayout | None = None


class SceneBody(BaseModel, extra="forbid"):
    """Script and looks of a scene. None of `persona`, `mood`, `layout`, `background`: that of the project or
    persona; of `language`: that of the script; of `camera`, `transition`, `sounds`: the plain ones of the
    worker.
    """

    script: str = Field(default="", max_length=MAX_SCRIPT_CHARS)
    audio: MediaRef | None = Field(
        default=None, description="supplied speech; the script is then its transcript"
    )
    persona: str | None = Field(default=None, max_length=80)
    language: str | None = Field(default=None, max_length=35)
    pronunciation: dict[str, str] = Field(default_factory=dict)
    mood: Mood | None = Field(default=None, description="of brows, lids, mouth and head")
    layout: AvatarLayout | None = None
    speakers: tuple[SceneSpeaker, ...] = Field(
        default=(), max_length=MAX_GUESTS, description="others beside the scene's persona"
    )
    background: Background | None = None
    overlays: tuple[Overlay, ...] = ()
    camera: Camera | None = None
    transition: Transition | None = Field(default=None, description="how it comes after the scene before")
    sounds: tuple[SoundEffect, ...] | None = Field(default=None, max_length=100)
    lead_in_ms: int = Field(default=300, ge=0, le=10_000)
    tail_ms: int = Field(default=500, ge=0, le=10_000)
    duration_ms: int | None = Field(
        default=None,
        ge=10,
        le=7_200_000,
        description="wished length; a scene without script and sound is silent for so long: a title card",
    )


class SceneDraft(SceneBody):
    title: OneLine = Field(default="", max_length=200)
    position: int | None = Field(default=None, ge=0, description="None puts it last")


class SceneView(SceneBody):
    id: str
    project_id: str
    position: int
    title: str
    created_at: datetime
    updated_at: datetime


class SceneSpeechView(BaseModel):
    """Holds how a scene sounds. `sound` is the path of a WAV file; `level` holds its loudness, 0 to 1,
    `level_hz` times a second.
    """

    key: str = Field(description="changes with the words and with how they are said")
    sound: str
    duration_ms: int
    words: list[TimedWord]
    level_hz: int
    level: list[float]


class SceneOrder(BaseModel, extra="forbid"):
    """All scene ids of the project in their new order."""

    scenes: list[str]


def is_filled(scene: SceneBody) -> bool:
    """Returns whether something can be heard in it, or it is a silent one with a length; a project is made
    into a video when that is so of every scene.
    """
    return bool(scene.script.strip()) or scene.audio is not None or scene.duration_ms is not None
