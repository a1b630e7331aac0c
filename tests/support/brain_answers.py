"""The events of one answer of the Brain, as a list."""

from __future__ import annotations

from agent.brain import Brain
from agent.events import BrainEvent
from agent.sessions.service import Conversation


async def answer(brain: Brain, conversation: Conversation, sentence: str) -> list[BrainEvent]:
    """Waits for the end of an answer and returns its events."""
    events: list[BrainEvent] = []

    async def emit(event: BrainEvent) -> None:
        events.append(event)

    await brain.answer(conversation, sentence, emit)
    return events


async def ignore(_: BrainEvent) -> None:
    """Takes an event and drops it."""
