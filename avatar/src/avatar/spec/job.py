"""The job of an older GPU worker, `{"input": {"job_type", …}}`: read, and turned into a spec; the studio's
worker endpoint and `avatar render` take the same.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from avatar.spec.acting import Mood
from avatar.spec.base import MediaRef, SpecModel
from avatar.spec.captions import Captions
from avatar.spec.movement import Movement
from avatar.spec.persona import Consent, Face, FliteVoice, PhotoFace, RigFace, VideoFace, Voice
from avatar.spec.render import Canvas, LipsyncSpec, Output, RenderSpec, VideoCodec
from avatar.spec.scene import MAX_SCRIPT_CHARS, Scene

JobType = Literal["image", "lipsync_only", "full_render"]
Family = Literal["image", "video"]

JOB_TYPES: dict[str, JobType] = {
    "image": "image",
    "image_generation": "image",
    "image_generate": "image",
    "lipsync_only": "lipsync_only",
    "lipsync": "lipsync_only",
    "full_render": "full_render",
    "video_render": "full_render",
    "render": "full_render",
}
"""Names that clients send, and the three types there are."""

QUALITIES: dict[str, VideoCodec] = {
    "draft": VideoCodec(preset="ultrafast", crf=28),
    "fast": VideoCodec(preset="superfast", crf=24),
    "standard": VideoCodec(),
    "high": VideoCodec(preset="fast", crf=17),
    "premium": VideoCodec(preset="fast", crf=17),
    "cinematic": VideoCodec(preset="medium", crf=15),
}
SQUARE = Canvas(width=1080, height=1080)
MAX_URL_CHARS = 4000
_SHOWN = 5


class JobRefused(Exception):
    """A job that cannot be done as it is: `code` is stable, `hint` says what to do next."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


class JobConsent(SpecModel):
    """The person in the picture, and the consent."""

    person: str = Field(min_length=1, max_length=200)
    purpose: str = Field(min_length=1, max_length=2000)
    granted_at: str = Field(max_length=40, description="ISO 8601 date or time")
    id: str | None = Field(
        default=None, min_length=1, max_length=80, description="of a record that is kept elsewhere"
    )


class JobFormat(SpecModel):
    """Size in pixels and frame rate of the video."""

    width: int
    height: int
    fps: int = 25


class WorkerJob(SpecModel):
    """The fields of `input`. Files are named by URL; the worker fetches them."""

    job_type: JobType
    job_id: str | None = Field(default=None, max_length=200, description="the caller's own name for it")
    image_url: str | None = Field(default=None, max_length=MAX_URL_CHARS, description="a photo, or a video")
    audio_url: str | None = Field(default=None, max_length=MAX_URL_CHARS)
    script: str | None = Field(default=None, max_length=MAX_SCRIPT_CHARS, description="what is said")
    persona: str | None = Field(default=None, max_length=80, description="who speaks, without an image")
    language: str | None = Field(default=None, max_length=35)
    title: str | None = Field(default=None, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
    duration: float | None = Field(default=None, ge=0.1, le=7200, description="wished length in seconds")
    quality: Literal["draft", "fast", "standard", "high", "premium", "cinematic"] = "standard"
    format: JobFormat | None = None
    captions: Literal["none", "soft", "burned", "both"] | None = None
    consent: JobConsent | None = None
    consent_id: str | None = Field(default=None, min_length=1, max_length=80)

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if self.job_type == "lipsync_only" and (self.image_url is None or self.audio_url is None):
            raise ValueError("lipsync_only needs image_url and audio_url")
        if self.job_type == "lipsync_only" and self.duration is not None:
            raise ValueError("duration is not for lipsync_only, which lasts as long as its sound")
        if self.image_url is None and (self.consent is not None or self.consent_id is not None):
            raise ValueError("a consent is for the face in image_url, and there is none")
        if self.job_type == "full_render" and not (self.script or "").strip() and self.audio_url is None:
            raise ValueError("full_render needs a script or an audio_url")
        if self.image_url is not None and self.persona is not None:
            raise ValueError("give image_url or persona, not both")
        return self

    @property
    def canvas(self) -> Canvas | None:
        """The size that was asked for. Raises JobRefused."""
        if self.format is None:
            return None
        try:
            return Canvas(width=self.format.width, height=self.format.height, fps=self.format.fps)
        except ValidationError as error:
            raise refuse_fields(error, "format.") from error


class Presenter(SpecModel):
    """The presenter of a job without a picture."""

    face: Face = RigFace()
    voice: Voice = FliteVoice()
    movement: Movement = Movement()
    language: str = "en-us"
    mood: Mood = "neutral"


def is_job(value: Any) -> bool:
    """Returns whether a JSON value is a job and no spec."""
    return isinstance(value, dict) and "input" in value and "scenes" not in value


def read_job(value: Any) -> WorkerJob:
    """The job in `input`. Raises JobRefused `job.no_input`, `job.unknown_type`, `job.image_missing`,
    `job.invalid`.
    """
    fields = value.get("input") if isinstance(value, dict) else None
    if not isinstance(fields, dict):
        raise JobRefused(
            "job.no_input",
            "The job has no `input`.",
            'Send {"input": {"job_type": "lipsync_only", "image_url": "…", "audio_url": "…"}}.',
        )
    named = fields.get("job_type")
    kind = JOB_TYPES.get(named.strip().lower()) if isinstance(named, str) else None
    if kind is None:
        raise JobRefused(
            "job.unknown_type",
            f"There is no job type {str(named)[:80]!r}.",
            f"There are: {', '.join(dict.fromkeys(JOB_TYPES.values()))}.",
        )
    if kind == "image":
        raise JobRefused(
            "job.image_missing",
            "Pictures are not generated: this release has no text-to-image engine and no weights for one.",
            "Make the picture elsewhere and name it as `image_url` of a lipsync_only or full_render job.",
        )
    try:
        return WorkerJob.model_validate({**fields, "job_type": kind})
    except ValidationError as error:
        raise refuse_fields(error) from error


def face_of(image: MediaRef, family: Family, consent: Consent | None) -> PhotoFace | VideoFace:
    """The face of a job that names a picture or a video."""
    if family == "video":
        return VideoFace(video=image, consent=consent)
    return PhotoFace(image=image, consent=consent)


def spec_of_job(
    job: WorkerJob, presenter: Presenter, face: PhotoFace | VideoFace | None, audio: MediaRef | None
) -> RenderSpec | LipsyncSpec:
    """Returns the spec of a job; `face` and `audio` are the fetched files. Raises JobRefused."""
    output = Output(
        video=QUALITIES[job.quality],
        captions=Captions(mode=job.captions or ("soft" if job.script else "none")),
    )
    if job.job_type == "lipsync_only" and isinstance(face, VideoFace) and audio is not None:
        return LipsyncSpec(
            face=face,
            audio=audio,
            transcript=job.script,
            language=job.language or "en-us",
            canvas=job.canvas,
            output=output,
        )
    is_plain = job.job_type == "lipsync_only"
    scene = Scene(
        id="scene-1",
        script=job.script,
        audio=audio,
        language=job.language or presenter.language,
        face=face or presenter.face,
        voice=presenter.voice,
        movement=presenter.movement,
        mood=presenter.mood,
        lead_in_ms=0 if is_plain else 300,
        tail_ms=0 if is_plain else 500,
        duration_ms=None if job.duration is None else round(job.duration * 1000),
    )
    canvas = job.canvas or (SQUARE if is_plain else Canvas())
    return RenderSpec(title=job.title or "Lip sync", canvas=canvas, scenes=(scene,), output=output)


def refuse_fields(error: ValidationError, where: str = "") -> JobRefused:
    """Each field that cannot be used, and why; no value is repeated, a URL may hold a key."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    shown = [
        f"{where}{'.'.join(map(str, one['loc'])) or 'input'}: {one['msg'].removeprefix('Value error, ')}"
        for one in problems[:_SHOWN]
    ]
    return JobRefused("job.invalid", f"The job cannot be used: {'; '.join(shown)}.", "Correct these fields.")
