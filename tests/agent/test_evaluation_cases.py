"""Every evaluation case names tools, arguments and outcomes that exist."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.tools import ALL_TOOLS
from agent.tools.record import rule_name
from bench.nlu_evaluation.cases import FOLDER

FILES = sorted((FOLDER / "cases").glob("*.yaml"))
TOOLS = {tool.name: tool for tool in ALL_TOOLS}
RULES = {rule for tool in ALL_TOOLS for rule in tool.rules}
WORDS = {"ask", "chat", "refuse", "none", "confirm", "plan"}


def turns_of(case: dict[str, Any]) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = case.get("turns", [case])
    return turns


def calls_of(turn: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields every call that a turn names, wanted or acceptable."""
    for outcome in (turn["want"], *(turn.get("also") or ()), turn.get("steps") or ()):
        for call in () if isinstance(outcome, str) else outcome:
            for name, arguments in call.items():
                if name != "when":
                    yield name, arguments or {}


def exists(name: str, arguments: dict[str, Any]) -> bool:
    """Returns whether there is such a tool, with these arguments and this action."""
    tool = TOOLS.get(name)
    if tool is None or not tool.request.model_fields.keys() >= arguments.keys():
        return False
    return "action" not in arguments or rule_name(name, arguments["action"]) in RULES


def is_forbiddable(name: str) -> bool:
    tool, _, argument = name.partition("=")[0].partition(".")
    return name in {*RULES, *TOOLS, "any_write"} or ("=" in name and exists(tool, {argument: ""}))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_case_names_tools_and_arguments_that_exist(path: Path) -> None:
    wrong: list[tuple[Any, ...]] = []
    for case in yaml.safe_load(path.read_text(encoding="utf-8")):
        for turn in turns_of(case):
            words = [one for one in (turn["want"], *(turn.get("also") or ())) if isinstance(one, str)]
            if not WORDS.issuperset(words) or not isinstance(turn["say"], str):
                wrong.append((case["id"], words))
            wrong += [(case["id"], *call) for call in calls_of(turn) if not exists(*call)]
            wrong += [(case["id"], name) for name in turn.get("forbid") or () if not is_forbiddable(name)]
    assert not wrong


def test_there_are_1500_cases_with_ids_of_their_own() -> None:
    ids = [case["id"] for path in FILES for case in yaml.safe_load(path.read_text(encoding="utf-8"))]
    assert len(ids) == len(set(ids)) >= 1500
