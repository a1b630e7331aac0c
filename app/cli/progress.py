"""Shows the Brain's events at the prompt: a bar with stage, frames, fps and ETA, then the files."""

from __future__ import annotations

from types import TracebackType

from rich.progress import BarColumn, ProgressColumn, Task, TaskID, TextColumn
from rich.progress import Progress as RichProgress
from rich.table import Column
from rich.text import Text as RichText

from agent.events import (
    BrainEvent,
    ConfirmationRequested,
    Done,
    Failure,
    ModelUsage,
    Notice,
    Progress,
    Text,
    TextPart,
    ToolCalled,
    ToolReturned,
)
from app.cli.printing import Printer
from soundstage.one_line import harmless_json


class _Figures(ProgressColumn):
    """The figures of the last event, dimmed."""

    def render(self, task: Task) -> RichText:
        event: Progress | None = task.fields.get("event")
        return RichText(_figures(event) if event is not None else "", style="dim")


def _figures(event: Progress) -> str:
    """`120/256 frames · 48 fps · 3 s left`, or why it waits; whatever is not known yet is left out."""
    if event.waits:
        return event.waits.removeprefix("waits: ")
    parts = []
    if event.total_frames:
        parts.append(f"{event.done_frames}/{event.total_frames} frames")
    if event.fps:
        parts.append(f"{event.fps:.0f} fps")
    if event.eta_s is not None and event.fraction < 1:
        parts.append(f"{event.eta_s:.0f} s left")
    return " · ".join(parts)


def usage_line(usage: ModelUsage) -> str:
    """`local: 3 requests, 5210 tokens (4100 read before), 2.3 s`"""
    requests = "1 request" if usage.requests == 1 else f"{usage.requests} requests"
    cached = f" ({usage.cached_tokens} read before)" if usage.cached_tokens else ""
    return f"{usage.model}: {requests}, {usage.tokens} tokens{cached}, {usage.seconds:.1f} s"


class AnswerView:
    """A context manager: `show` every event of one answer, with `debug` those of tools too."""

    def __init__(self, printer: Printer, *, debug: bool = False) -> None:
        self._printer = printer
        self._debug = debug
        # The bar takes what the figures leave of the line: a bar that wraps leaves its pieces behind.
        self._bar = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            _Figures(table_column=Column(no_wrap=True)),
            console=printer.err,
            transient=True,
            expand=True,
            disable=printer.as_json,
        )
        self._task_id: TaskID | None = None
        self._last_label = ""
        self._writing = False
        self.failed = False
        self.choices: tuple[str, ...] = ()
        """Answers to the question that the answer ends with."""
        self.render_id: str | None = None
        """Of the render that this answer began; one that is only looked at is not ours to cancel."""

    def __enter__(self) -> AnswerView:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._stop_bar()

    def show(self, event: BrainEvent) -> None:
        if isinstance(event, ToolReturned) and event.tool == "make_render":
            self.render_id = event.result.get("render_id")
        if isinstance(event, Failure):
            self.failed = True
        if isinstance(event, Text):
            self.choices = event.choices
        if self._printer.as_json:
            print(harmless_json(event.model_dump_json(exclude_none=True)), flush=True)
            return
        match event:
            case Progress():
                self._move(event)
            case TextPart():
                self._stop_bar()
                self._printer.part(event.text)
                self._writing = True
            case Text():
                # Off the screen first: text goes to standard output, the bar to standard error.
                self._stop_bar()
                self._printer.line("" if self._writing else event.with_choices)
                self._writing = False
            case Notice():
                self._end_line()
                self._printer.note(event.text)
            case ConfirmationRequested():
                self._end_line()
                self._printer.note(confirmation(event))
            case Done() if event.usage is not None:
                self._printer.note(usage_line(event.usage))
            case Failure():
                self._stop_bar()
                self._end_line()
                self._printer.failure(event.code, event.message, event.hint, suggestions=event.suggestions)
            case ToolCalled() | ToolReturned() if self._debug:
                self._stop_bar()
                self._end_line()
                self._printer.note(harmless_json(event.model_dump_json()))
            case _:
                pass

    def _end_line(self) -> None:
        """A text that broke off ends its line, so that what follows begins one."""
        if self._writing:
            self._printer.line("")
        self._writing = False

    def _stop_bar(self) -> None:
        if self._task_id is not None:
            self._bar.stop()

    def _move(self, event: Progress) -> None:
        label = "waiting" if event.waits else event.stage or event.state
        if not self._printer.err.is_terminal:
            # A log wants one line a stage, not a bar.
            if label != self._last_label:
                self._printer.err.print(f"{label:<9} {_figures(event)}".rstrip(), markup=False)
            self._last_label = label
            return
        if self._task_id is None:
            self._bar.start()
            self._task_id = self._bar.add_task(f"{label:<9}", total=1.0)
        self._bar.update(self._task_id, description=f"{label:<9}", completed=event.fraction, event=event)


def confirmation(event: ConfirmationRequested) -> str:
    """Returns the sentence that requests a call which the model proposed."""
    if event.say:
        return f"To have this done, say: {event.say}"
    return f"{event.tool} was not run, because you did not ask for it. Say it in your own words."
