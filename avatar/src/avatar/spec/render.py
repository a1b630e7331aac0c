"""RenderSpec v1: the immutable, content-hashed description of one video."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from avatar.spec.base import MediaRef, SpecModel, content_hash
from avatar.spec.camera import Music
from avatar.spec.captions import Captions
from avatar.spec.needs import Requirements
from avatar.spec.overlay import Overlay
from avatar.spec.persona import VideoFace
from avatar.spec.scene import MAX_SCRIPT_CHARS, Scene

FRACTIONAL_RATES: Mapping[float, Fraction] = MappingProxyType(
    {23.976: Fraction(24000, 1001), 29.97: Fraction(30000, 1001), 59.94: Fraction(60000, 1001)}
)


class Canvas(SpecModel):
    """Size in pixels (even, as 4:2:0 needs) and frame rate: whole, or one of television's 23.976, 29.97 and
    59.94, which stand for 24000, 30000 and 60000 frames in 1001 seconds.
    """

    width: int = Field(default=1920, ge=64, le=7680, multiple_of=2)
    height: int = Field(default=1080, ge=64, le=4320, multiple_of=2)
    fps: int | float = Field(default=25, ge=10, le=60)

    @field_validator("fps")
    @classmethod
    def _is_a_known_rate(cls, fps: float) -> float:
        if fps == int(fps):
            return int(fps)
        if fps not in FRACTIONAL_RATES:
            raise ValueError(f"{fps} is no frame rate: use a whole number, 23.976, 29.97 or 59.94")
        return fps

    @property
    def whole_fps(self) -> int:
        """The rate as engines count it, which draw frame by frame."""
        return round(self.fps)

    @property
    def rate(self) -> Fraction:
        """Frames a second, exactly."""
        return FRACTIONAL_RATES.get(self.fps, Fraction(self.fps))


class VideoCodec(SpecModel):
    """Pinned, so that segments of one video join without a second encode."""

    encoder: Literal["libx264"] = "libx264"
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium"] = "veryfast"
    crf: int = Field(default=19, ge=0, le=40)
    gop_ms: int = Field(default=2000, ge=200, le=10_000)


class AudioCodec(SpecModel):
    sample_rate_hz: Literal[44100, 48000] = 48000
    bitrate_kbps: int = Field(default=160, ge=64, le=320)
    loudness_lufs: float = Field(default=-16.0, ge=-31.0, le=-9.0)
    true_peak_dbtp: float = Field(default=-1.5, ge=-9.0, le=0.0)


class Output(SpecModel):
    video: VideoCodec = VideoCodec()
    audio: AudioCodec = AudioCodec()
    captions: Captions = Captions()
    poster: bool = True


class RenderSpec(SpecModel):
    """One video. The script leads: every time in the result follows from the voice."""

    version: Literal[1] = 1
    title: str = Field(default="Untitled", min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
    canvas: Canvas = Canvas()
    scenes: tuple[Scene, ...] = Field(min_length=1, max_length=500)
    overlays: tuple[Overlay, ...] = Field(
        default=(), max_length=20, description="over every scene, under its own overlays: a logo"
    )
    pronunciation: dict[str, str] = Field(
        default_factory=dict,
        max_length=2000,
        description="for every scene: word -> respelling, or /IPA/; a scene's own goes first",
    )
    music: Music | None = None
    fade_in_ms: int = Field(default=0, ge=0, le=5000, description="the film comes out of black")
    fade_out_ms: int = Field(default=0, ge=0, le=5000, description="the film goes to black, sound and all")
    output: Output = Output()
    seed: int = Field(default=1, ge=0, le=2**31 - 1)

    @model_validator(mode="after")
    def _scene_ids_differ(self) -> RenderSpec:
        ids = [scene.id for scene in self.scenes]
        if len(set(ids)) != len(ids):
            raise ValueError("scene ids must differ from each other")
        return self

    def scene(self, scene_id: str) -> Scene:
        """Returns a scene with the pronunciations of the film for words of its script. Raises KeyError."""
        for scene in self.scenes:
            if scene.id == scene_id:
                return self._with_pronunciation(scene)
        raise KeyError(scene_id)

    def _with_pronunciation(self, scene: Scene) -> Scene:
        """A word that the script lacks is left out: it must not make the scene anew."""
        own = {word.strip().casefold() for word in scene.pronunciation}
        script = scene.script or ""
        more = {
            word: spoken
            for word, spoken in self.pronunciation.items()
            if word.strip().casefold() not in own
            and re.search(rf"(?<!\w){re.escape(word.strip())}(?!\w)", script, re.IGNORECASE)
        }
        return scene.model_copy(update={"pronunciation": {**more, **scene.pronunciation}}) if more else scene

    def content_hash(self) -> str:
        """Hash of the whole video."""
        return content_hash(self.model_dump(mode="json"))

    def scene_hash(self, scene_id: str) -> str:
        """Hash of what decides one scene's frames and sound: an unchanged scene is never made twice.

        The scene's id, what it requires of a machine, the way it comes after the scene before, the title,
        the music, the poster and the final sound encode are left out: they reach no segment.
        """
        return content_hash(
            {
                "version": self.version,
                "canvas": self.canvas.model_dump(mode="json"),
                "scene": self.scene(scene_id).model_dump(
                    mode="json", exclude={"id", "requirements", "transition"}
                ),
                "overlays": [overlay.model_dump(mode="json") for overlay in self.overlays],
                "video": self.output.video.model_dump(mode="json"),
                "captions": self.output.captions.model_dump(mode="json")
                if self.output.captions.burned
                else None,
                "seed": self.seed,
            }
        )


class LipsyncSpec(SpecModel):
    """The `lipsync_only` job: a video and a sound file in, the same video saying it out. Its canvas has a
    whole frame rate.
    """

    version: Literal[1] = 1
    face: VideoFace
    audio: MediaRef
    transcript: str | None = Field(default=None, max_length=MAX_SCRIPT_CHARS)
    language: str = "en-us"
    canvas: Canvas | None = Field(default=None, description="None keeps the size of the video")
    output: Output = Output()
    seed: int = Field(default=1, ge=0, le=2**31 - 1)
    requirements: Requirements = Requirements()

    @model_validator(mode="after")
    def _rate_is_whole(self) -> LipsyncSpec:
        if self.canvas is not None and self.canvas.rate.denominator != 1:
            raise ValueError(f"mouths of filmed people are drawn at whole frame rates, not {self.canvas.fps}")
        return self


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of RenderSpec, exported to docs/."""
    schema = RenderSpec.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
