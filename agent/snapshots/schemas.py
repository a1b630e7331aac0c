"""Wire types of snapshots, and the state of a conversation that one holds."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from soundstage.one_line import one_line

Name = Annotated[str, BeforeValidator(one_line), Field(min_length=1, max_length=80)]


class KeptTurn(BaseModel):
    """What was said and answered in one turn, cut to a length that can still be talked about."""

    model_config = ConfigDict(from_attributes=True)

    utterance: str
    reply: str
    tool: str | None = None
    error_code: str | None = None
    started_at: datetime
    finished_at: datetime | None = None


class Meant(BaseModel):
    """A video or project that "it" means, as it was when the state was taken; `state` is that of a video."""

    id: str
    title: str
    state: str | None = None


class State(BaseModel):
    """Where a conversation stands."""

    format: Literal[1] = 1
    title: str
    persona_id: str | None = None
    render: Meant | None = None
    project: Meant | None = None
    turns: tuple[KeptTurn, ...] = ()
    left_out: int = Field(default=0, description="Turns before these, which were too many to keep.")


class SnapshotOut(BaseModel):
    """A snapshot without its turns."""

    model_config = ConfigDict(from_attributes=True)

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
    """What differs between a snapshot and another one, or a conversation as it is now."""

    name: str
    other: str = Field(description="The name of the other snapshot, or the id of the conversation.")
    differences: tuple[Difference, ...]


class Loaded(BaseModel):
    """The conversation that goes on from the snapshot."""

    session_id: str
    snapshot: SnapshotOut
    state: State


class SaveRequest(BaseModel):
    """`save_name` is another word for `name`. Without a session, the one that was talked in last is saved."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    name: Name = Field(validation_alias=AliasChoices("name", "save_name"))
    session_id: str | None = Field(default=None, max_length=40)
    replace: bool = Field(default=False, description="Put it in the place of the one with that name.")


class LoadRequest(BaseModel):
    """`save_name` is another word for `name`. Without a session, a new one begins there."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    name: Name = Field(validation_alias=AliasChoices("name", "save_name"))
    session_id: str | None = Field(default=None, max_length=40)


class IntoRequest(BaseModel):
    """Which conversation goes on from the snapshot; without one, a new one does."""

    model_config = ConfigDict(extra="forbid")

    session_id: str | None = Field(default=None, max_length=40)
