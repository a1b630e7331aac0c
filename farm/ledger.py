"""What a scheduler knows of its tasks, and the story of each for whoever watches it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from avatar.spec import Failed, Finished, FrameProgress, PreviewFrame, ProgressLine, StageStarted
from avatar.spec.progress import outdated_by

from farm.states import TERMINAL, TaskState, move
from farm.tasks import SegmentTask, TaskEvent
from farm.worker_output import LogTail
from soundstage.errors import NotFound

KEPT_ENDED_TASKS = 500
_DOING = {
    "prepare": "the worker is getting ready",
    "speech": "the voice is being made",
    "timing": "the mouth is being timed",
    "frames": "the first frame is being drawn",
    "assemble": "the scenes are being joined",
    "captions": "the captions are being written",
    "publish": "the files are being put into place",
}
"""By the worker's stage."""


@dataclass(slots=True)
class Story:
    """One task: its state and all that was told of it, but for stale progress."""

    task: SegmentTask
    state: TaskState = TaskState.QUEUED
    events: list[TaskEvent] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    tail: LogTail = field(default_factory=LogTail)
    seq: int = 0

    @property
    def ended(self) -> bool:
        return self.state in TERMINAL

    @property
    def frames(self) -> FrameProgress | None:
        """The last progress that was told."""
        return next((e.line for e in reversed(self.events) if isinstance(e.line, FrameProgress)), None)

    @property
    def running_sentence(self) -> str:
        """`runs: …`: which frame its worker is at, or what else it does."""
        told = (e.line for e in reversed(self.events) if isinstance(e.line, FrameProgress | StageStarted))
        line = next(told, None)
        doing = _DOING.get(line.stage if line is not None else "prepare", "the worker is at it")
        if isinstance(line, FrameProgress):
            doing = f"frame {line.done_frames} of {line.total_frames}" if line.stage == "frames" else doing
            return f"runs: {doing}, about {line.eta_s:.0f} s left"
        return f"runs: {doing}"


class Ledger:
    """The last ended tasks are kept for late watchers, older ones are forgotten."""

    def __init__(self) -> None:
        self._stories: OrderedDict[str, Story] = OrderedDict()

    def __iter__(self) -> Iterator[Story]:
        return iter([*self._stories.values()])

    def find(self, task_id: str) -> Story | None:
        return self._stories.get(task_id)

    def story(self, task_id: str) -> Story:
        found = self._stories.get(task_id)
        if found is None:
            raise NotFound(
                "task.unknown", f"There is no task {task_id!r} here.", "It may be long ended; ask the render."
            )
        return found

    def begin(self, task: SegmentTask) -> Story:
        story = self._stories[task.id] = Story(task)
        self._tell(story)
        return story

    def move(self, story: Story, state: TaskState) -> None:
        story.state = move(story.state, state)
        self._tell(story)

    def line(self, story: Story, line: ProgressLine) -> None:
        self._tell(story, line=line)

    def end(
        self,
        story: Story,
        state: TaskState,
        *,
        result: Finished | None = None,
        failure: Failed | None = None,
    ) -> None:
        story.state = move(story.state, state)
        story.events = [event for event in story.events if not isinstance(event.line, PreviewFrame)]
        self._tell(story, result=result, failure=failure)
        ended = [task_id for task_id, other in self._stories.items() if other.ended]
        for task_id in ended[:-KEPT_ENDED_TASKS]:
            del self._stories[task_id]

    async def watch(self, task_id: str) -> AsyncIterator[TaskEvent]:
        """From the first event to the last."""
        story = self.story(task_id)
        seen = 0
        while True:
            # Take the bell before looking: what is told between the two rings it, so that nothing is missed.
            news = story.news
            for event in [event for event in story.events if event.seq > seen]:
                seen = event.seq
                yield event
                if event.last:
                    return
            await news.wait()

    def _tell(
        self,
        story: Story,
        *,
        line: ProgressLine | None = None,
        result: Finished | None = None,
        failure: Failed | None = None,
    ) -> None:
        story.seq += 1
        event = TaskEvent(story.task.id, story.seq, story.state, datetime.now(UTC), line, result, failure)
        if line is not None:
            outdated = outdated_by(line, [event.line for event in story.events])
            if outdated is not None:
                del story.events[outdated]
        story.events.append(event)
        story.news.set()
        story.news = asyncio.Event()
