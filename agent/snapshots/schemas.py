"""Wire types of snapshots, and the state of a conversation that one holds."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, Field

from soundstage.one_line import one_line

Name = Annotated[str, BeforeValidator(one_line), Field(min_length=1, max_length=80)]


class SnapshotTurn(BaseModel, from_attributes=True):
    """One utterance and its answer, cut."""

    utterance: str
    reply: str
    tool: str | None = None
    error_code: str | None = None
    started_at: datetime
    finished_at: datetime | None = None


class Referent(BaseModel):
    """The video or project that "it" refers to, at the time of the snapshot; `state` is that of a video."""

    id: str
    title: str
    state: str | None = None


class State(BaseModel):
    """The state of a conversation."""

    format: Literal[1] = 1
    title: str
    persona_id: str | None = None
    render: Referent | None = None
    project: Referent | None = None
    turns: tuple[SnapshotTurn, ...] = ()
    left_out: int = Field(default=0, description="Turns before these, which were too many to keep.")


class SnapshotOut(BaseModel, from_attributes=True):
    """A snapshot without its turns."""

    id: str
    name: str
    session_id: str
    turns: int
    saved_at: datetime


class SnapshotDetail(SnapshotOut):
    state: State


class Difference(BaseModel):
    """One thing that is not the same, in a sentence; `kind` is for programs."""

    kind: Literal["turns", "video", "video_state", "project", "persona"]
    sentence: str


class Compared(BaseModel):
    """The differences between a snapshot and another one, or the present state of a conversation."""

    name: str
    other: str = Field(description="The name of the other snapshot, or the id of the conversation.")
    differences: tuple[Difference, ...]


class Loaded(BaseModel):
    """The conversation that goes on from the snapshot."""

    session_id: str
    snapshot: SnapshotOut
    state: State


class SaveRequest(BaseModel, extra="forbid", populate_by_name=True):
    """`save_name` is another word for `name`. Without a session, the one that was talked in last is saved."""

    name: Name = Field(validation_alias=AliasChoices("name", "save_name"))
    session_id: str | None = Field(default=None, max_length=40)
    replace: bool = Field(default=False, description="Put it in the place of the one with that name.")


class LoadRequest(BaseModel, extra="forbid", populate_by_name=True):
    """`save_name` is another word for `name`. Without a session, a new one begins there."""

    name: Name = Field(validation_alias=AliasChoices("name", "save_name"))
    session_id: str | None = Field(default=None, max_length=40)


class IntoRequest(BaseModel, extra="forbid"):
    """The conversation to continue from the snapshot; without one, a new one."""

    session_id: str | None = Field(default=None, max_length=40)
