"""Answers leave rows in the database and nothing in the process, however many are given."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Mapping

from app.composition import Services
from policy import Principal
from soundstage.telemetry import metrics
from soundstage.telemetry.instruments import StateGauge

PEOPLE = 10
SENTENCES = ("list my videos", "who can speak?", "help", "is it done?", "gibberish", "what do you remember?")
FEW = 0.5
"""Objects of one type for each answer; what an answer leaves behind is at least one."""
UP_AND_DOWN = frozenset({"weakref.ReferenceType"})
"""Dead ones stay in sets until somebody looks into these: some hundreds, however long it goes on."""


async def talk(services: Services, session_ids: list[str]) -> int:
    """Everybody says everything, all at once; how many answers that were."""

    async def person(number: int) -> None:
        requester = Principal(id=f"key_{number}", name=f"P{number}", role="editor", kind="key")
        for sentence in SENTENCES:
            conversation = await services.brain.sessions.open(requester, session_ids[number] or None)
            session_ids[number] = conversation.id
            output = await services.turns.ask(conversation, sentence)
            async for _ in output:
                pass

    await asyncio.gather(*(person(number) for number in range(PEOPLE)))
    return PEOPLE * len(SENTENCES)


def _scrape() -> None:
    """Counts the moves of metrics that wait for the next scrape; at most 512 of each wait."""
    for metric in metrics.list_metrics():
        if not isinstance(metric, StateGauge):
            list(metric.collect())


def living() -> Mapping[str, int]:
    _scrape()
    gc.collect()
    found = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())
    return {name: count for name, count in found.items() if name not in UP_AND_DOWN}


async def test_an_answer_leaves_no_object_behind(services: Services) -> None:
    session_ids = [""] * PEOPLE
    for _ in range(3):
        await talk(services, session_ids)
    before = living()
    answers = sum([await talk(services, session_ids) for _ in range(4)])
    grown = {name: count - before.get(name, 0) for name, count in living().items()}
    assert {name: more for name, more in grown.items() if more > FEW * answers} == {}
