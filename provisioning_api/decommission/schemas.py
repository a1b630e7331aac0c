"""Wire types of retirement: a plan to read first, and the request that confirms it."""

from __future__ import annotations

from pydantic import BaseModel, Field

from soundstage.one_line import OneLine


class RetirePlan(BaseModel):
    """The steps of a retirement; `digest` names exactly this plan."""

    name: str
    steps: list[str]
    wipes: list[str]
    digest: str


class RetireRequest(BaseModel, extra="forbid"):
    """`confirm` is the machine's name, typed. `plan`: the digest of the plan that the caller has read;
    None accepts the current one. Without `wipe` the disks stay as they are; without `drain` Nomad is not
    called, so that credentials can be revoked while Nomad cannot be reached.
    """

    confirm: str = Field(max_length=63)
    wipe: bool = True
    drain: bool = True
    reason: OneLine = Field(default="", max_length=300)
    plan: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
