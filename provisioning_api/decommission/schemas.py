"""Wire types of the end of a machine: a plan that can be read first, and the yes to it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from soundstage.one_line import OneLine


class RetirePlan(BaseModel):
    """The steps of a retirement; `digest` names exactly this plan."""

    name: str
    steps: list[str]
    wipes: list[str]
    digest: str


class RetireRequest(BaseModel):
    """`confirm` is the machine's name, typed. `plan`: the digest of the plan that was read; None: whatever
    it is now. Without `wipe` the disks stay as they are; without `drain` Nomad is not asked, so that what a
    machine holds can be revoked while Nomad is away.
    """

    model_config = ConfigDict(extra="forbid")

    confirm: str = Field(max_length=63)
    wipe: bool = True
    drain: bool = True
    reason: OneLine = Field(default="", max_length=300)
    plan: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
