"""Wire types of the first run."""

from __future__ import annotations

from pydantic import BaseModel, Field

from studio.first_run.states import Step, StepState


class StepView(BaseModel):
    step: Step
    state: StepState
    needed: bool = Field(description="whether a first film needs it")


class FirstRunView(BaseModel):
    """Steps that the caller may not take are left out."""

    steps: list[StepView]
    presenter: str | None = Field(description="the persona that was chosen; null: none yet")
    finished: bool = Field(description="no step that is needed is open")
    dismissed: bool = Field(description="the reminder of it was put away")


class FirstRunChange(BaseModel, extra="forbid"):
    """A merge patch: what is not named stays."""

    presenter: str | None = Field(None, description="the persona to begin with")
    steps: dict[Step, StepState] = Field(
        default_factory=dict,
        description="`skipped`, or `open` again; `done` for `doctor` and `voice`, the others are looked for",
    )
    dismissed: bool | None = Field(None, description="whether the reminder is put away")
