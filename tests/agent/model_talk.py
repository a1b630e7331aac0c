"""Conversations with a Brain behind which a scripted model answers, and what their events hold."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from brain_answers import answer
from scripted_model import (
    Script,
    ScriptedModel,
    scripted_model,
)

from agent.events import (
    BrainEvent,
    Notice,
    Text,
    ToolFailed,
    ToolReturned,
)
from app.composition import Services, open_services
from policy import Principal
from soundstage.settings import Settings

QUESTION = "tell me, how are things going around here today?"


class Talk:
    """One conversation with a Brain behind which a scripted model answers."""

    def __init__(self, services: Services, model: ScriptedModel, principal: Principal) -> None:
        self.services = services
        self.model = model
        self.principal = principal
        self.session_id: str | None = None

    async def say(self, sentence: str) -> list[BrainEvent]:
        conversation = await self.services.brain.sessions.open(self.principal, self.session_id)
        self.session_id = conversation.id
        return await answer(self.services.brain, conversation, sentence)


Talking = Callable[..., AbstractAsyncContextManager[Talk]]


def talking_with(settings: Settings) -> Talking:
    """Makes `async with talking(*script) as talk`; `agent` and `local` are settings, `role` the person's.
    Without `reader` the model gets all that the grammar does not understand, and its failure shows that.
    """

    @asynccontextmanager
    async def talk(
        *script: Script,
        agent: dict[str, Any] | None = None,
        local: dict[str, Any] | None = None,
        cloud: dict[str, Any] | None = None,
        role: str = "admin",
        reader: bool = True,
    ) -> AsyncIterator[Talk]:
        async with scripted_model(*script) as model:
            near = {"base_url": model.base_url, "model": "scripted", **(local or {})}
            llm = {"local": near, "cloud": cloud or {}}
            chosen = Settings.model_validate(
                {**settings.model_dump(exclude={"llm", "agent"}), "llm": llm, "agent": agent or {}}
            )
            async with open_services(chosen) as services:
                if not reader:
                    services.brain.reader = None
                yield Talk(services, model, Principal(id="key_t", name="t", role=role, kind="key"))

    return talk


def texts(events: Sequence[BrainEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, Text)]


def notices(events: Sequence[BrainEvent]) -> list[str]:
    return [event.code for event in events if isinstance(event, Notice)]


def failed_tools(events: Sequence[BrainEvent]) -> list[str]:
    return [event.code for event in events if isinstance(event, ToolFailed)]


def results(events: Sequence[BrainEvent]) -> list[ToolReturned]:
    return [event for event in events if isinstance(event, ToolReturned)]


async def renders(talk: Talk) -> list[Any]:
    return list(await talk.services.studio.renders.list())
