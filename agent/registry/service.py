"""Shows personas as the agents of a registry; asked by its routes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from avatar.spec import content_hash

from agent.dossiers.registry import DossierRegistry
from agent.dossiers.schemas import Workflow
from agent.registry.schemas import (
    STATES,
    AgentDetail,
    AgentHealth,
    AgentStatus,
    AgentSummary,
    HealthSummary,
)
from soundstage.errors import NotFound, SoundstageError
from studio.personas.health import PersonaHealthService
from studio.personas.library import PersonaLibrary
from studio.personas.pictures import image_url
from studio.personas.schemas import Persona, PersonaEntry, PersonaStatus, PersonaValidity
from studio.personas.validation import PersonaValidation

HEALTH_AT_ONCE = 4
"""Each may ask a speech service."""


@dataclass(frozen=True, slots=True)
class AgentRegistry:
    """The present tenant's agents: the operator's personas and its own. Each verb on one raises
    `agent.not_found`.
    """

    library: PersonaLibrary
    health: PersonaHealthService
    dossiers: DossierRegistry
    validation: PersonaValidation

    async def list(self) -> list[AgentSummary]:
        """All of them, also those whose file cannot be used."""
        return await asyncio.to_thread(lambda: [self._summary(one) for one in self.library.entries()])

    async def get(self, agent_id: str) -> AgentDetail:
        return await asyncio.to_thread(self._detail, agent_id)

    def status(self, agent_id: str) -> AgentStatus:
        self._known(agent_id)
        return _status(self.library.status(agent_id))

    def reload(self, agent_id: str) -> AgentStatus:
        """Reads its file again at once."""
        self._known(agent_id)
        return _status(self.library.reload(agent_id))

    async def validate(self, agent_id: str) -> PersonaValidity:
        """Returns what is wrong with its file."""
        status = self.status(agent_id)
        return PersonaValidity(valid=status.error is None, faults=status.faults)

    async def health_of(self, agent_id: str) -> AgentHealth:
        self._known(agent_id)
        return AgentHealth.of(await self.health.of(agent_id))

    async def health_summary(self) -> HealthSummary:
        """Of all, a few at a time."""
        places = asyncio.Semaphore(HEALTH_AT_ONCE)

        async def look(agent_id: str) -> AgentHealth:
            async with places:
                return AgentHealth.of(await self.health.of(agent_id))

        found = await asyncio.gather(*(look(one.id) for one in self.library.entries()))
        healthy = sum(one.status == "healthy" for one in found)
        return HealthSummary(
            total=len(found), healthy=healthy, unhealthy=len(found) - healthy, agents=list(found)
        )

    def _known(self, agent_id: str) -> PersonaEntry:
        entries = {entry.id: entry for entry in self.library.entries()}
        if agent_id not in entries:
            known = ", ".join(entries) or "none"
            raise NotFound("agent.not_found", f"There is no agent {agent_id[:80]!r}.", f"There are: {known}.")
        return entries[agent_id]

    def _summary(self, entry: PersonaEntry) -> AgentSummary:
        persona = entry.persona
        workflow = self._workflow(entry)
        return AgentSummary(
            id=entry.id,
            name=persona.name if persona else entry.id,
            description=persona.description if persona else entry.error or "",
            capabilities=list(persona.tools) if persona else [],
            status=STATES[entry.state],
            version=workflow.dossier_version if workflow else _digest(persona),
            imageUrl=image_url(persona) if persona else None,
        )

    def _detail(self, agent_id: str) -> AgentDetail:
        entry = self._known(agent_id)
        persona, workflow = entry.persona, self._workflow(entry)
        return AgentDetail(
            **dict(self._summary(entry)),
            title=persona.title if persona else "",
            language=persona.style.language if persona else "",
            yaml_path=entry.file,
            dossier=workflow.dossier if workflow else None,
            steps=[step.says for step in workflow.steps] if workflow else [],
        )

    def _workflow(self, entry: PersonaEntry) -> Workflow | None:
        """None for what was not compiled, and where what was compiled cannot be read."""
        try:
            return self.dossiers.read(entry.id).workflow
        except SoundstageError:
            return None


def _status(status: PersonaStatus) -> AgentStatus:
    return AgentStatus(**dict(status), status=STATES[status.state])


def _digest(persona: Persona | None) -> str:
    if persona is None:
        return ""
    return content_hash(persona.model_dump(mode="json")).removeprefix("sha256:")[:12]
