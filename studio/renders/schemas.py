"""Wire types of renders."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from avatar.spec import (
    Background,
    Canvas,
    CaptionStyle,
    EngineUse,
    Failed,
    LipsyncSpec,
    MediaRef,
    Notice,
    RenderSpec,
    Requirements,
)
from avatar.spec.scene import MAX_SCRIPT_CHARS
from pydantic import BaseModel, Field, model_validator

from soundstage.moments import Moment
from soundstage.one_line import OneLine
from studio.renders.states import RenderState
from studio.tags import Tags

RenderKind = Literal["video", "preview", "lipsync"]
CaptionMode = Literal["none", "soft", "burned", "both"]


class StoredOptions(BaseModel):
    """Fields of a request that the row of its render stores under the same name."""

    priority: int = Field(default=0, ge=-100, le=100, description="higher runs sooner")
    ready_by: Moment | None = Field(
        default=None, description="when it is wanted; the render's `forecast` says whether it can be"
    )

    def row_values(self) -> dict[str, Any]:
        """Returns what a new row takes over."""
        return {name: getattr(self, name) for name in StoredOptions.model_fields}


class RenderRequest(StoredOptions, extra="forbid"):
    """One of: a whole `spec`; a `script` (or `audio`) and a `persona`; a `project`; a `lipsync` spec."""

    spec: RenderSpec | None = None
    project: str | None = Field(default=None, max_length=80, description="id or slug")
    lipsync: LipsyncSpec | None = None

    script: str | None = Field(default=None, max_length=MAX_SCRIPT_CHARS * 2)
    audio: MediaRef | None = Field(
        default=None, description="supplied speech; the script is then its transcript"
    )
    persona: str = Field(default="nova", max_length=80)
    title: OneLine | None = Field(default=None, max_length=200)
    language: str | None = Field(default=None, max_length=35)
    canvas: Canvas | None = None
    captions: CaptionMode | None = None
    caption_style: CaptionStyle | None = Field(default=None, description="of captions in the picture")
    background: Background | None = None
    rate_wpm: int | None = Field(default=None, ge=80, le=450)
    duration_s: float | None = Field(
        default=None,
        gt=0,
        le=7200,
        description="wished length in seconds of the video of a `script`, met by pace and pauses that sound"
        " natural; a warning `speech.duration_missed` says when it is not",
    )

    preview: bool = Field(default=False, description="low resolution, one scene, quickly")
    scene: str | None = Field(
        default=None, max_length=64, description="the scene of a preview; None takes the first"
    )
    requirements: Requirements | None = Field(
        default=None, description="what each scene needs of a node of the farm, beyond what it says itself"
    )

    @model_validator(mode="after")
    def _one_source(self) -> RenderRequest:
        spoken = self.script is not None or self.audio is not None
        if sum((self.spec is not None, self.project is not None, self.lipsync is not None, spoken)) != 1:
            raise ValueError("give one of `spec`, `project`, `lipsync`, or `script`/`audio`")
        return self


class RenderChange(BaseModel, extra="forbid"):
    """Only what is given changes. The files keep their names and their content. A new priority moves what
    waits for a worker; what a worker has begun goes on.
    """

    title: OneLine | None = Field(default=None, min_length=1, max_length=200)
    tags: Tags | None = Field(default=None, description="all tags that it has from now on")
    priority: int | None = Field(
        default=None, ge=-100, le=100, description="higher runs sooner; of one that waits or runs"
    )


class PlannedSegment(BaseModel):
    """A scene of a plan. `seconds`: 0 when its segment is there already, None while nothing of the kind has
    ended here. `unanchored`: words that overlays wait for and that the script does not have.
    """

    scene: str
    reused: bool
    seconds: float | None
    unanchored: list[str] = []


class MissingThing(BaseModel):
    """The error that a render would be refused with."""

    scene: str | None
    code: str
    message: str
    hint: str


class RenderPlan(BaseModel):
    """A plan of what a request would make. With something `missing` it would be refused; it has no scenes."""

    kind: RenderKind = "video"
    title: str = ""
    size: str = ""
    personas: list[str] = []
    scenes: list[PlannedSegment] = []
    scenes_reused: int = 0
    scenes_new: int = 0
    seconds: float | None = None
    missing: list[MissingThing] = []


AFTER_FRAMES = {
    "assemble": "all frames are drawn; the scenes are being joined",
    "captions": "all frames are drawn; the captions are being written",
    "publish": "all frames are drawn; the files are being put into place",
}
"""What a worker does once all frames are there, by its stage."""


class Preview(BaseModel):
    """The latest frame that was drawn, as a small JPEG at `url`; `frame` counts from 0 within its scene."""

    scene: str | None
    frame: int
    sha256: str
    url: str


class Progress(BaseModel):
    """Progress of a render. `eta_s` is None while unknown. `engines`: what has drawn the faces of the
    scenes that are finished. `nodes`: machines whose workers are at it now.
    """

    stage: str = "queued"
    frames_done: int = 0
    frames_total: int = 0
    fps: float = 0.0
    eta_s: float | None = None
    scenes_done: int = 0
    scenes_total: int = 0
    preview: Preview | None = None
    engines: list[EngineUse] = []
    nodes: list[str] = []

    @property
    def fraction(self) -> float:
        return self.frames_done / self.frames_total if self.frames_total else 0.0

    @property
    def sentence(self) -> str:
        """Returns which frame is drawn, or the step after the last one."""
        if self.stage in AFTER_FRAMES:
            return AFTER_FRAMES[self.stage]
        return f"frame {self.frames_done} of {self.frames_total}" if self.frames_total else "getting ready"


class ForecastView(BaseModel):
    """Forecast for `ready_by`: yes, perhaps (when all goes well), no, or unknown while nothing
    of the kind has ended here. `places` free places now would do; None when they would not, or need not.
    """

    verdict: Literal["yes", "perhaps", "no", "unknown"]
    sentence: str
    likely_at: datetime | None
    slow_at: datetime | None
    places: int | None


class OutputView(BaseModel, from_attributes=True):
    role: str
    name: str
    url: str
    sha256: str
    bytes: int
    media_type: str


class FailedScene(BaseModel):
    """The scene at which a render failed. `index` counts from 0; people count from 1. `title`: of the
    project's scene, else the beginning of its script. `editable`: a scene of a project, which has an editor.
    """

    index: int
    id: str
    title: str
    editable: bool


class RenderFacts(BaseModel):
    """The fields of a render in lists and in its detail. `waits` says in one sentence why it does not run
    yet; `error` how it failed and what to do next.
    """

    id: str
    kind: RenderKind
    state: RenderState
    title: str
    personas: list[str]
    project_id: str | None
    project_version: int | None
    requested_by: str
    attempt: int
    cancel_requested: bool
    progress: Progress
    waits: str
    error: Failed | None
    duration_ms: int | None
    tags: list[str] = []
    trashed_at: datetime | None = None
    created_at: datetime
    finished_at: datetime | None


class RenderSummary(RenderFacts):
    """A row of a list; the detail has the rest, such as the engines and, after the end, the latest frame.
    `files`: the roles of the finished files, each at `/api/renders/{id}/files/{role}`. `picture`: the address
    of a small picture; add `&width=`.
    """

    failed_scene: FailedScene | None
    files: list[str]
    picture: str | None


Offer = Literal["edit_scene", "retry", "read_log"]


class RenderView(RenderFacts):
    """A render; each field but `outputs` is read from the column of its name."""

    spec_hash: str
    priority: int
    trace_id: str | None
    ready_by: datetime | None = None
    forecast: ForecastView | None = None
    warnings: list[Notice]
    lost_face_frames: list[tuple[int, int]]
    outputs: list[OutputView]
    out_files: list[str]
    started_at: datetime | None

    @property
    def ended(self) -> bool:
        return self.state in (RenderState.DONE, RenderState.FAILED, RenderState.CANCELLED)

    @property
    def sentence(self) -> str:
        """Returns the state as a sentence."""
        if self.error is not None:
            return f"{self.state}: {self.error.message}"
        if self.state is RenderState.RUNNING:
            return f"running: {self.progress.sentence}"
        return str(self.state)

    def output(self, role: str) -> OutputView | None:
        return next((output for output in self.outputs if output.role == role), None)


class SegmentView(BaseModel):
    scene_id: str
    key: str
    state: RenderState
    reused: bool | None
    attempts: int
    error: Failed | None


class RenderDetail(RenderView):
    """`offers`: what may help a render that failed, the likeliest first. `picture` as in a summary."""

    spec: RenderSpec | LipsyncSpec
    segments: list[SegmentView]
    failed_scene: FailedScene | None = None
    offers: list[Offer] = []
    picture: str | None = None
