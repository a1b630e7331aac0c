"""Wire types of the registry of agents; the names are those that clients of the older system read."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from studio.personas.schemas import (
    MAX_TEXT_CHARS,
    HealthCheck,
    PersonaHealth,
    PersonaState,
    PersonaStatus,
)

AgentState = Literal["active", "degraded", "error"]

STATES: dict[PersonaState, AgentState] = {"ready": "active", "outdated": "degraded", "broken": "error"}
"""`degraded`: a change has broken its file, and the last good one stands."""


class AgentSummary(BaseModel):
    """`capabilities` are the tools that its conversations may use; `["*"]` is all that policy allows."""

    id: str
    name: str
    description: str
    capabilities: list[str]
    status: AgentState
    version: str = Field(
        description="of the dossier that it was compiled from, else the begin of the hash of its definition"
    )
    imageUrl: str | None = None  # noqa: N815 - the wire format of personas


class AgentList(BaseModel):
    agents: list[AgentSummary]


class AgentDetail(AgentSummary):
    """`yaml_path` is the name of its file; `dossier` tells what it was compiled from, if it was."""

    title: str
    language: str
    yaml_path: str
    dossier: str | None = None
    steps: list[str] = Field(default=[], description="of its workflow, in order")


class AgentStatus(PersonaStatus):
    """The state of its file, in the terms of both systems."""

    status: AgentState


class AgentHealth(BaseModel):
    """The health of an agent."""

    id: str
    status: Literal["healthy", "unhealthy"]
    checks: tuple[HealthCheck, ...]

    @classmethod
    def of(cls, health: PersonaHealth) -> AgentHealth:
        """Return the health of an agent from that of its persona."""
        return cls(id=health.id, status="healthy" if health.healthy else "unhealthy", checks=health.checks)


class HealthSummary(BaseModel):
    total: int
    healthy: int
    unhealthy: int
    agents: list[AgentHealth]


class AgentText(BaseModel, extra="forbid"):
    """A definition that has not been saved."""

    yaml: str = Field(max_length=MAX_TEXT_CHARS)
