"""The events of an answer: typed values, the same over every transport."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter

from agent.presentation import Blocks
from soundstage.errors import SoundstageError


class _Event(BaseModel, extra="forbid", frozen=True):
    """Refuses unknown fields and changes."""


class TurnBegan(_Event):
    """The first event of every answer: how to ask for this turn again, whatever becomes of the connection."""

    type: Literal["turn"] = "turn"
    session_id: str
    turn: int
    trace_id: str | None = None


class Understood(_Event):
    """The utterance was matched to an intent; no tool has run yet."""

    type: Literal["understood"] = "understood"
    intent: str
    tool: str | None = None


class ToolCalled(_Event):
    """A tool starts. `arguments` are whole in debug mode, else only the short ones; never a secret."""

    type: Literal["tool_call"] = "tool_call"
    tool: str
    effect: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class ToolReturned(_Event):
    """The result of a tool, without secrets."""

    type: Literal["tool_result"] = "tool_result"
    tool: str
    result: dict[str, Any]


class ToolFailed(_Event):
    """A tool call of a language model did not run or failed; the model has the error and may go on."""

    type: Literal["tool_error"] = "tool_error"
    tool: str
    code: str
    message: str
    hint: str = ""


class ConfirmationRequested(_Event):
    """A tool call that the utterance does not ask for and that changes something. Saying `say` runs it,
    and so does “yes” where nothing is deleted.
    """

    type: Literal["confirm"] = "confirm"
    tool: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    say: str = ""
    token: str = ""
    """Binds a “yes” to the whole call, of which `arguments` may be shortened."""


class ApprovalRequested(_Event):
    """A tool call that waits for approval `approval_id`; nothing has happened yet."""

    type: Literal["approval"] = "approval"
    tool: str
    approval_id: str
    message: str
    hint: str = ""


class Progress(_Event):
    """The progress of a render. `fraction` runs from 0 to 1; `error` is set when it failed."""

    type: Literal["progress"] = "progress"
    render_id: str
    state: str
    stage: str | None = None
    done_frames: int = 0
    preview_url: str | None = None
    """A small JPEG of the latest frame."""
    total_frames: int | None = None
    fps: float | None = None
    eta_s: float | None = None
    fraction: float = Field(default=0.0, ge=0.0, le=1.0)
    waits: str = ""
    """The reason why the render waits; empty when it does not."""
    error: dict[str, Any] | None = None


class TextPart(_Event):
    """The next characters of a text that is being written; the whole of it comes as `text` afterwards."""

    type: Literal["text_part"] = "text_part"
    text: str


class Notice(_Event):
    """An unexpected condition of the answer: the model is down and the fixed sentences are used."""

    type: Literal["notice"] = "notice"
    code: str
    text: str


class Text(_Event):
    """A text for the person. Where it is the result of a tool, `blocks` are the same as data: pages draw them
    and parse no text. `with_choices` is for where nothing can be clicked.
    """

    type: Literal["text"] = "text"
    text: str
    blocks: Blocks = ()
    choices: tuple[str, ...] = ()
    """Where the text is a question: answers to it, which can be said as they are or by their number."""

    @property
    def with_choices(self) -> str:
        """Returns the text with its choices as numbered lines."""
        lines = [f"{number}. {choice}" for number, choice in enumerate(self.choices, start=1)]
        return "\n".join([self.text, *lines])


class Failure(_Event):
    """It did not work: a stable code, what happened, what to do next, sentences that would do."""

    type: Literal["error"] = "error"
    code: str
    message: str
    hint: str = ""
    suggestions: tuple[str, ...] = ()

    @classmethod
    def of(cls, error: SoundstageError) -> Failure:
        """Returns the event of an error."""
        return cls(code=error.code, message=error.message, hint=error.hint)


class ModelUsage(BaseModel, extra="forbid", frozen=True):
    """Counts what an answer took of language models; `model` is the last that was asked."""

    model: str
    requests: int
    tokens: int
    """As the server counts them, else an estimate."""
    cached_tokens: int = 0
    """Of these, the server had read so many before."""
    seconds: float


class Done(_Event):
    """The last event of every answer; with `usage` where a language model was asked."""

    type: Literal["done"] = "done"
    session_id: str
    turn: int
    usage: ModelUsage | None = None


BrainEvent = Annotated[
    TurnBegan
    | Understood
    | ToolCalled
    | ToolReturned
    | ToolFailed
    | ConfirmationRequested
    | ApprovalRequested
    | Progress
    | TextPart
    | Notice
    | Text
    | Failure
    | Done,
    Field(discriminator="type"),
]
BRAIN_EVENT: TypeAdapter[BrainEvent] = TypeAdapter(BrainEvent)
Emit = Callable[[BrainEvent], Awaitable[None]]
"""Takes the events of an answer in their order."""


def plain_text(event: BrainEvent) -> str:
    """Returns the sentence of a text, a notice or a failure with its hint; else nothing."""
    match event:
        case Failure():
            return f"{event.message} {event.hint}".strip()
        case Text():
            return event.with_choices
        case Notice():
            return event.text
        case _:
            return ""
