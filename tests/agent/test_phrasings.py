"""How people say it: hundreds of phrasings reach their tool, and none a wrong tool that changes something."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from agent.tools import ALL_TOOLS
from agent.understanding import Grammar, Understanding

PHRASINGS: dict[str, list[str]] = yaml.safe_load(
    Path(__file__).with_name("phrasings.yaml").read_text(encoding="utf-8")
)
ASKING = {tool: sentences for tool, sentences in PHRASINGS.items() if tool != "none"}
CHANGING = {tool.name for tool in ALL_TOOLS if tool.effect != "read"}
UNDERSTOOD = 0.95


def found(grammar: Grammar, sentence: str) -> str | None:
    """The tool, `help` for what needs none, None for what is not understood."""
    understood = grammar.understand(sentence)
    return (understood.tool or "help") if isinstance(understood, Understanding) else None


def test_there_are_three_hundred_phrasings_and_some_for_every_tool() -> None:
    assert sum(map(len, ASKING.values())) >= 300
    assert ASKING.keys() == {tool.name for tool in ALL_TOOLS} | {"help"}


def test_nearly_all_phrasings_are_understood(grammar: Grammar) -> None:
    missed = [(tool, one) for tool, all_ in ASKING.items() for one in all_ if found(grammar, one) != tool]
    assert len(missed) <= (1 - UNDERSTOOD) * sum(map(len, ASKING.values())), missed


@pytest.mark.parametrize("tool", PHRASINGS)
def test_no_phrasing_reaches_a_wrong_tool_that_changes_something(grammar: Grammar, tool: str) -> None:
    wrong = {one: found(grammar, one) for one in PHRASINGS[tool]}
    assert {one: other for one, other in wrong.items() if other in CHANGING and other != tool} == {}
