"""Answers what was said in a pipeline by a Brain in the same process."""

from __future__ import annotations

from agent.brain import Brain
from agent.events import Emit
from policy import Principal
from soundstage.database.tenants import tenant_scope
from soundstage.telemetry import trace


class BrainAnswers:
    """Answers by a Brain in this process."""

    def __init__(self, brain: Brain, principal: Principal, session_id: str | None = None) -> None:
        self._brain = brain
        self._principal = principal
        self._session_id = session_id

    @property
    def session_id(self) -> str | None:
        return self._session_id

    async def answer(self, utterance: str, present: Emit) -> None:
        with trace(inherit=False), tenant_scope(self._principal.tenant):
            conversation = await self._brain.sessions.open(self._principal, self._session_id)
            self._session_id = conversation.id
            await self._brain.answer(conversation, utterance, present)
