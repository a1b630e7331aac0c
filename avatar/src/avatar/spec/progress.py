"""The lines a worker prints on standard output, one JSON object each: all that crosses while it works."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from avatar.spec.base import SpecModel

MAX_PREVIEW_CHARS = 48_000

Stage = Literal["prepare", "speech", "timing", "frames", "assemble", "captions", "publish"]


class FaceBox(SpecModel):
    """One face; the box is in pixels of the upright picture at its full size."""

    left: int
    top: int
    width: int
    height: int


class ColourShare(SpecModel):
    """One of the colours that make up most of the picture. `share` runs from 0 to 1."""

    colour: str = Field(pattern=r"^#[0-9a-f]{6}$")
    share: float = Field(ge=0, le=1)


class PictureReport(SpecModel):
    """A picture or a frame of a video. `at_ms` is None for a picture."""

    width: int
    height: int
    at_ms: int | None = None
    faces: tuple[FaceBox, ...] | None = Field(
        default=None, description="from left to right; None where this worker cannot find faces"
    )
    sharpness: float = Field(description="how sharp its sharpest parts are; below 0.3 it looks blurred")
    brightness: float = Field(ge=0, le=1, description="mean luma")
    contrast: float = Field(ge=0, le=1, description="between the dark and the bright tenth, in luma")
    underexposed: float = Field(ge=0, le=1, description="share of pixels that are all but black")
    overexposed: float = Field(ge=0, le=1, description="share of pixels that are all but white")
    colours: tuple[ColourShare, ...] = ()


class StageStarted(SpecModel):
    event: Literal["stage"] = "stage"
    stage: Stage
    scene: str | None = None
    total_frames: int | None = None


class FrameProgress(SpecModel):
    """Printed at most about four times a second."""

    event: Literal["progress"] = "progress"
    stage: Stage = "frames"
    scene: str | None = None
    done_frames: int
    total_frames: int
    fps: float
    eta_s: float


class PreviewFrame(SpecModel):
    """A preview of the picture: a JPEG of at most 320 pixels, every two seconds at most, in base64."""

    event: Literal["preview"] = "preview"
    scene: str | None = None
    frame: int = Field(ge=0, description="counted from 0 within its scene")
    jpeg: str = Field(max_length=MAX_PREVIEW_CHARS, pattern=r"^[A-Za-z0-9+/]+={0,2}$", repr=False)


class Notice(SpecModel):
    """Something to know that did not stop the work: unsupported markup, a lost face, a far-off lip fit."""

    event: Literal["warning"] = "warning"
    code: str
    message: str
    scene: str | None = None
    details: dict[str, Any] = Field(default_factory=dict)


SpanValue = Annotated[str, Field(max_length=200)] | bool | int | float


class SpanEnded(SpecModel):
    """One step of the work as a span (OpenTelemetry), printed when it has ended; see `avatar.spans`."""

    event: Literal["span"] = "span"
    trace_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    span_id: str = Field(pattern=r"^[0-9a-f]{16}$")
    parent_id: str = Field(pattern=r"^[0-9a-f]{16}$")
    name: str = Field(max_length=80)
    start_ns: int = Field(ge=0, lt=2**63, description="since 1970")
    end_ns: int = Field(ge=0, lt=2**63)
    is_error: bool = False
    attributes: dict[Annotated[str, Field(max_length=80)], SpanValue] = Field(
        default_factory=dict, max_length=16
    )


OutputRole = Literal[
    "video",
    "segment",
    "audio",
    "words",
    "vtt",
    "srt",
    "poster",
    "provenance",
    "portrait",
    "still",
    "speech",
    "shown",
    "frame",
    "storyboard",
    "storyboard_index",
    "peaks",
    "proxy",
    "spec",
    "schema",
    "page",
    "verdict",
]
"""What a file that a worker made is of the whole."""


class OutputFile(SpecModel):
    role: OutputRole
    path: str
    sha256: str
    bytes: int
    media_type: str


class MediaFacts(SpecModel):
    """The content of a media file. Sizes are those of the upright picture in pixels."""

    kind: Literal["image", "video", "audio", "motion"]
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    video_codec: str | None = None
    audio_codec: str | None = None
    sample_rate_hz: int | None = None
    channels: int | None = None


class EngineUse(SpecModel):
    """The engine that drew a face of a scene. `why_not` says in a sentence each why a better engine did
    not.
    """

    scene: str
    engine: str
    asked: str = Field(description="the engine that the spec names, or auto")
    mode: str = Field(
        default="",
        max_length=20,
        description="how much it took of a card: low, middle, full or large; on a processor low or nothing",
    )
    why_not: tuple[str, ...] = ()


class Finished(SpecModel):
    event: Literal["result"] = "result"
    files: tuple[OutputFile, ...]
    duration_ms: int
    frames: int
    warnings: tuple[Notice, ...] = ()
    lost_face_frames: tuple[tuple[int, int], ...] = Field(
        default=(), description="inclusive frame ranges where the last good face was reused"
    )
    engines: tuple[EngineUse, ...] = Field(default=(), description="what drew the faces of each scene")
    media: MediaFacts | None = Field(default=None, description="the answer of `avatar probe`")
    sight: PictureReport | None = Field(default=None, description="the answer of `avatar look`")
    peak_vram_mib: int | None = Field(
        default=None, ge=0, description="most GPU memory taken at once; None where no card was used"
    )


class Failed(SpecModel):
    event: Literal["error"] = "error"
    code: str
    message: str
    hint: str = ""


ProgressLine = Annotated[
    StageStarted | FrameProgress | PreviewFrame | Notice | SpanEnded | Finished | Failed,
    Field(discriminator="event"),
]
_ADAPTER: TypeAdapter[ProgressLine] = TypeAdapter(ProgressLine)


def parse_progress(line: str | bytes) -> ProgressLine:
    """Read one line; raises `pydantic.ValidationError` for anything else than a progress line."""
    return _ADAPTER.validate_json(line)


def index_to_replace(line: ProgressLine, earlier: Sequence[ProgressLine | None]) -> int | None:
    """Returns the index of the earlier line that `line` replaces: an older progress or preview
    with nothing but such lines after it. Its index, or None.
    """
    for index in range(len(earlier) - 1, -1, -1):
        before = earlier[index]
        if not isinstance(before, FrameProgress | PreviewFrame):
            return None
        if type(before) is type(line):
            return index
    return None
