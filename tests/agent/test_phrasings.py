"""Hundreds of utterances of people reach their tool, and none a wrong tool that changes something."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from agent.tools import ALL_TOOLS
from agent.tools.record import rule_name
from agent.understanding import Grammar, Understanding

UTTERANCES: dict[str, list[str]] = defaultdict(list)
ARGUMENTS: dict[str, dict[str, dict[str, object]]] = defaultdict(dict)
"""Of some utterances: what they give their tool, apart from the action that the rule names."""
for path in sorted(Path(__file__).with_name("phrasings").glob("*.yaml")):
    for rule, utterances in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        for utterance in utterances:
            UTTERANCES[rule] += [utterance] if isinstance(utterance, str) else utterance
            ARGUMENTS[rule] |= {} if isinstance(utterance, str) else utterance
TOOLS = {tool.name: tool for tool in ALL_TOOLS}
ASKING = {rule: sentences for rule, sentences in UTTERANCES.items() if rule != "none"}
EFFECTS = {rule: act.effect for tool in ALL_TOOLS for rule, act in tool.rules.items()}
CHANGING = {rule for rule, effect in EFFECTS.items() if effect != "read"}
PLANNED = {"triggers.create"}
"""What no fixed sentence asks for: a plan has sentences of other tools in it."""
UNDERSTOOD = 0.95


def found(grammar: Grammar, sentence: str) -> str | None:
    """The tool or its action, `help` for what needs none, None for what is not understood."""
    understood = grammar.understand(sentence)
    if not isinstance(understood, Understanding):
        return None
    return rule_name(understood.tool, understood.arguments.get("action", "")) if understood.tool else "help"


def test_there_are_three_hundred_phrasings_and_some_for_every_tool() -> None:
    assert sum(map(len, ASKING.values())) >= 300
    assert ASKING.keys() == EFFECTS.keys() - PLANNED | {"help"}


def test_nearly_all_phrasings_are_understood(grammar: Grammar) -> None:
    missed = [(rule, one) for rule, all_ in ASKING.items() for one in all_ if found(grammar, one) != rule]
    assert len(missed) <= (1 - UNDERSTOOD) * sum(map(len, ASKING.values())), missed


@pytest.mark.parametrize("rule", UTTERANCES)
def test_no_phrasing_reaches_a_wrong_tool_that_changes_something(grammar: Grammar, rule: str) -> None:
    wrong = {one: found(grammar, one) for one in UTTERANCES[rule]}
    assert {one: other for one, other in wrong.items() if other in CHANGING and other != rule} == {}


def test_for_every_rule_there_is_a_phrasing_whose_arguments_are_known() -> None:
    assert [rule for rule in ASKING if not ARGUMENTS[rule]] == []


@pytest.mark.parametrize("rule", ASKING)
def test_a_phrasing_gives_its_tool_what_was_said(grammar: Grammar, rule: str) -> None:
    name, _, action = rule.partition(".")
    for sentence, expected in ARGUMENTS[rule].items():
        understood = grammar.understand(sentence)
        assert isinstance(understood, Understanding), sentence
        whole = {"action": action, **expected} if action else expected
        assert (understood.tool or "help", dict(understood.arguments)) == (name, whole), sentence
        if understood.tool is not None:
            TOOLS[name].request.model_validate(understood.arguments)
