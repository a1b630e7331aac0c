"""REST of the registry of agents, as clients of the older system call it."""

# No `from __future__ import annotations`: FastAPI reads the permissions from the annotations at run time.
import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends

from agent.registry.schemas import (
    AgentDetail,
    AgentHealth,
    AgentList,
    AgentStatus,
    AgentText,
    HealthSummary,
)
from agent.registry.service import AgentRegistry
from policy import Principal, require_permission
from soundstage.routers import AppService
from studio.personas.schemas import PersonaValidity

Reader = Annotated[Principal, Depends(require_permission("persona:read"))]
Changer = Annotated[Principal, Depends(require_permission("persona:update"))]


Registry = Annotated[AgentRegistry, Depends(AppService("agents"))]
router = APIRouter(prefix="/api/agents", tags=["agents"])


@router.get("")
async def list_agents(registry: Registry, _: Reader) -> AgentList:
    """Every agent of the registry, also one whose file cannot be used (`error`)."""
    return AgentList(agents=await registry.list())


@router.get("/health/summary")
async def agents_health(registry: Registry, _: Reader) -> HealthSummary:
    """Returns whether each agent could answer now."""
    return await registry.health_summary()


@router.post("/validate")
async def validate_definition(registry: Registry, _: Reader, draft: AgentText) -> PersonaValidity:
    """All that is wrong with a definition, with line and column. Nothing is saved."""
    return await registry.validation.validate(draft.yaml, "agent.yaml")


@router.get("/{agent_id}")
async def get_agent(agent_id: str, registry: Registry, _: Reader) -> AgentDetail:
    """One agent, with the steps of its workflow where it was compiled from a dossier."""
    return await registry.get(agent_id)


@router.get("/{agent_id}/status")
async def agent_status(agent_id: str, registry: Registry, _: Reader) -> AgentStatus:
    """Returns the state of its file: `active`, `degraded` (the last valid one is in use) or `error`."""
    return registry.status(agent_id)


@router.post("/{agent_id}/reload")
async def reload_agent(agent_id: str, registry: Registry, _: Changer) -> AgentStatus:
    """Reads its file again at once. Files that change are read again by themselves."""
    # In a thread: it reads and parses files.
    return await asyncio.to_thread(registry.reload, agent_id)


@router.post("/{agent_id}/validate")
async def validate_agent(agent_id: str, registry: Registry, _: Reader) -> PersonaValidity:
    """All that is wrong with its file, with line and column."""
    return await registry.validate(agent_id)


@router.get("/{agent_id}/health")
async def agent_health(agent_id: str, registry: Registry, _: Reader) -> AgentHealth:
    """Returns whether it could answer now: file, media, consent, voice."""
    return await registry.health_of(agent_id)
