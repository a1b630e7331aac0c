"""Dialogues of ten turns end in the wanted state over every way in."""

from __future__ import annotations

from pathlib import Path

import pytest
from conversing import Conversing
from dialogue_stage import Dialogue, differences, read_dialogues, staged

from agent.events import BrainEvent, Text

TURNS = 10


def _cases() -> list[object]:
    return [
        pytest.param(
            one,
            id=one.name,
            marks=[pytest.mark.xfail(strict=True, reason=one.open)] if one.open else [],
        )
        for one in read_dialogues()
    ]


def has_question(events: list[BrainEvent]) -> bool:
    return any(isinstance(one, Text) and one.choices for one in events)


@pytest.mark.parametrize("dialogue", _cases())
async def test_a_dialogue_ends_in_the_wanted_state(dialogue: Dialogue, tmp_path: Path) -> None:
    async with staged(dialogue, tmp_path) as stage:
        talk = Conversing(stage.services)
        for turn in dialogue.turns:
            events = await talk.say(turn.say)
            if turn.answer is not None and has_question(events):
                await talk.say(turn.answer)
            if turn.approved:
                await stage.approve()
        assert differences(dialogue.wanted, await stage.state()) == []
