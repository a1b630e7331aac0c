"""Values between the studio and a scheduler: a task, its placement and its events."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from avatar.spec import Failed, Finished, ProgressLine

from farm.needs import Needs
from farm.states import TERMINAL, TaskState

TaskKind = Literal[
    "segment", "assemble", "render", "preview", "lipsync", "still", "prepare", "probe", "speak", "look",
    "poster", "storyboard", "peaks", "proxy", "sound", "captions",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class TaskInput:
    """A blob the worker finds under `path`, relative to its work folder."""

    sha256: str
    path: str


@dataclass(frozen=True, slots=True)
class SegmentTask:
    """One run of the worker program.

    `id` is the segment's key and the attempt: the first submission of an id wins, a second one changes
    nothing.
    The spec travels by hash only (`spec_sha256`, a JSON blob); `prepare`, `probe`, `look` and the kinds
    after it have no spec and one input, the file to look at.
    """

    id: str
    kind: TaskKind
    spec_sha256: str | None = None
    scene_id: str | None = None
    inputs: tuple[TaskInput, ...] = ()
    arguments: tuple[str, ...] = ()
    """More options of the worker's sub-command, such as ("--ms", "1200")."""
    priority: int = 0
    """Higher runs sooner; equal ones in the order of submission."""
    time_limit_s: float = 3600.0
    variables: tuple[str, ...] = ()
    """Names of environment variables that this task may see: keys of the speech services its spec names."""
    trace_id: str | None = None
    traceparent: str | None = None
    """The span that the worker's spans belong to (W3C Trace Context); None measures nothing there."""
    needs: Needs = field(default_factory=Needs)
    work: float = 0.0
    """Its amount of work, as `work_of` of `farm/history/run_times.py` counts it; 0 when unknown."""
    unfinished: str = ""
    """The name of the checkpoint that the worker stores for a retry; the same for all tries. Empty: the
    checkpoint cannot be discarded by name, and expires.
    """


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """One fact about a task; `seq` grows by one or more, because stale progress is dropped for slow
    readers.
    """

    task_id: str
    seq: int
    state: TaskState
    at: datetime
    line: ProgressLine | None = None
    result: Finished | None = field(default=None, repr=False)
    """Set when `state` is done: every file of it is in the blob store under its `sha256`."""
    failure: Failed | None = None

    @property
    def last(self) -> bool:
        return self.state in TERMINAL
