"""Wire types of healing."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from provisioning_api.healing.states import Cause, Consent, HealingState


class HealingPlan(BaseModel):
    """The steps that an operator is requested to allow; `digest` names exactly this plan."""

    steps: list[str]
    digest: str


class HealingView(BaseModel):
    """One case. `spare`: the machine that takes its place; `next`: what an operator can do."""

    id: str
    machine: str
    state: HealingState
    cause: Cause
    finding: str
    reason: str
    consent: Consent
    plan: HealingPlan | None
    spare: str | None
    restarts: int
    reinstalls: int
    trace_id: str
    created_at: datetime
    since: datetime
    ended_at: datetime | None
    next: str


class ResumeRequest(BaseModel, extra="forbid"):
    """Goes on with a case. What it asks consent for needs `confirm`, the machine's name, typed, and the
    digest of the plan that the caller has read.
    """

    confirm: str = Field(default="", max_length=63)
    plan: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
