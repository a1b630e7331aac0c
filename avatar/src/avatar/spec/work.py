"""Messages between the control plane and a worker on another machine: the order, and reports on it.

`avatar work` reads and writes these over HTTP; the farm's transfer routes stand at the other end.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from avatar.spec.base import SpecModel
from avatar.spec.progress import (
    Failed,
    Finished,
    FrameProgress,
    Notice,
    PreviewFrame,
    SpanEnded,
    StageStarted,
)

BLOBS_PLACE = "@blobs"
CACHE_PLACE = "@cache"
"""Stand in the arguments of an order where the worker puts its own folders."""

SIGNED_HEADER = "Soundstage-Signed"
"""In a request for an input: the worker follows a 307 to a signed address in the bucket."""

Passing = Annotated[
    StageStarted | FrameProgress | PreviewFrame | Notice | SpanEnded, Field(discriminator="event")
]
"""Lines that tell how far the work is; its last word travels in `WorkEnd`."""


class WorkFile(SpecModel):
    """A blob that must lie at `path`, relative to the folder in which the program runs."""

    sha256: str
    bytes: int
    path: str


class WorkBlob(SpecModel):
    """A blob that the spec names by its hash."""

    sha256: str
    bytes: int


class WorkOrder(SpecModel):
    """One run of the avatar program."""

    task_id: str
    arguments: tuple[str, ...]
    files: tuple[WorkFile, ...] = ()
    blobs: tuple[WorkBlob, ...] = ()
    environment: dict[str, str] = Field(default_factory=dict, repr=False)
    """Keys of speech services, and the name of the work; see `avatar.spec.unfinished`."""
    time_limit_s: float
    grace_s: float = Field(5.0, description="between SIGTERM and SIGKILL")
    patience_s: float = Field(3600.0, description="how long a finished worker tries to hand its files over")


class UploadRequest(SpecModel):
    """A finished file that the worker could put into the bucket itself."""

    bytes: int = Field(ge=0)


class UploadAddress(SpecModel):
    """Names where a PUT of the file goes, and its headers. Without a URL the worker uploads the file
    to the control plane.
    """

    url: str | None = Field(None, repr=False)
    headers: dict[str, str] = Field(default_factory=dict)


class WorkEnd(SpecModel):
    """The end of the work. `returncode` is negative for a signal. `failure` is the error that the program
    itself reported; `fault` is the worker's: it could not start the program, or not upload its files.
    """

    returncode: int = 0
    ended_by: Literal["itself", "cancel", "time_limit"] = "itself"
    garbage: int = Field(0, description="lines on its standard output that could not be read")
    result: Finished | None = None
    failure: Failed | None = Field(None, description="the program's own last word")
    fault: Failed | None = None


class WorkReport(SpecModel):
    """News since the report before; `seq` counts from 1 within a run, so that a repeated one is known."""

    run: str = Field(max_length=64)
    seq: int = Field(ge=1)
    lines: tuple[Passing, ...] = ()
    log: str = ""
    end: WorkEnd | None = None


class WorkReply(SpecModel):
    """`stop` says that nobody wants this worker's work any more, `forget` that nobody wants what it has kept
    for a second one either.
    """

    stop: bool = False
    forget: bool = False
