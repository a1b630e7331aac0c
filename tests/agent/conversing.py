"""A conversation with the Brain in a test, and what its events hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from brain_answers import answer

from agent.events import BrainEvent, Failure, Text, ToolCalled, ToolReturned
from app.composition import Services
from policy import Principal


class Conversing:
    """Says sentences in one session, like a person at the prompt."""

    def __init__(self, services: Services, principal: Principal | None = None) -> None:
        self.services = services
        self.principal = principal or Principal.local_admin("test")
        self.session_id: str | None = None

    async def say(self, sentence: str) -> list[BrainEvent]:
        sessions = self.services.brain.sessions
        conversation = await sessions.open(self.principal, self.session_id)
        self.session_id = conversation.id
        return await answer(self.services.brain, conversation, sentence)

    async def told(self, sentence: str) -> str:
        """All that is said to it, failures too."""
        events = await self.say(sentence)
        return "\n".join(_words(event) for event in events if isinstance(event, Text | Failure))


def result(events: Sequence[BrainEvent]) -> dict[str, Any]:
    """What the tool gave."""
    found = [event for event in events if isinstance(event, ToolReturned)]
    assert found, events
    return found[0].result


def failure(events: Sequence[BrainEvent]) -> Failure:
    found = [event for event in events if isinstance(event, Failure)]
    assert found, events
    return found[0]


def calls(events: Sequence[BrainEvent]) -> list[str]:
    """Returns the tools that were called, in their order."""
    return [event.tool for event in events if isinstance(event, ToolCalled)]


def _words(event: Text | Failure) -> str:
    return event.text if isinstance(event, Text) else f"{event.message} {event.hint}"
