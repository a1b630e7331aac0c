"""Arguments that a program may send and no person would say: each is refused plainly, none gets further."""

from __future__ import annotations

from typing import Any

import pytest
from conversing import Conversing
from escape_attempts import REFUSED

from agent.events import ToolCalled
from agent.tools import ALL_TOOLS, DirectToolset
from agent.tools.code_runner import LONGEST_S
from agent.tools.toolset import prepare_call
from app.composition import Services
from soundstage.errors import Invalid


@pytest.mark.parametrize(
    "name",
    ["count = 2\ncommand", "", "a b", 'x"', "${count}", "a" * 200],
    ids=["a line of its own", "none", "two words", "a quote", "a template", "long"],
)
def test_the_name_of_a_variable_brings_no_words_of_its_own_into_a_job_file(name: str) -> None:
    arguments = {"action": "deploy", "job": "tts", "variables": {name: "x"}}
    with pytest.raises(Invalid, match="no name of a variable"):
        prepare_call(DirectToolset(ALL_TOOLS), "change_job", arguments)


@pytest.mark.parametrize("name", ["count", "vram_mib", "GPU-model"])
def test_names_of_variables_are_taken(name: str) -> None:
    arguments = {"action": "deploy", "job": "tts", "variables": {name: "x"}}
    call = prepare_call(DirectToolset(ALL_TOOLS), "change_job", arguments)
    assert call.request.model_dump()["variables"] == {name: "x"}


def test_a_value_that_is_nested_too_deep_is_a_text() -> None:
    deep = "[" * 100_000
    arguments = {"action": "deploy", "job": "tts", "variables": f"args = {deep}"}
    call = prepare_call(DirectToolset(ALL_TOOLS), "change_job", arguments)
    assert call.request.model_dump()["variables"] == {"args": deep}


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), 10**400])
def test_a_number_beyond_all_numbers_names_nothing(value: Any) -> None:
    try:
        call = prepare_call(DirectToolset(ALL_TOOLS), "list_projects", {"project": "tides", "scene": value})
    except Invalid as error:
        assert error.code == "tool.bad_arguments"
    else:
        assert call.request.model_dump()["scene"] == str(value)


def test_code_may_take_as_long_as_the_tool_says(services: Services) -> None:
    limits = services.tool_services.sandbox.limits
    assert limits.wall_s == limits.cpu_s == LONGEST_S


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("```python\n6 * 7\n```", "6 * 7"),
        ("```\nfor n in range(2):\n    print(n)\n```\n", "for n in range(2):\n    print(n)"),
        ("print('```')", "print('```')"),
        ("```6 * 7```", "```6 * 7```"),
    ],
)
def test_code_may_come_between_fences(written: str, code: str) -> None:
    call = prepare_call(DirectToolset(ALL_TOOLS), "code_runner", {"code": written})
    assert call.request.model_dump()["code"] == code


async def test_fenced_code_is_understood_in_a_sentence(services: Services) -> None:
    assert "42" in await Conversing(services).told("Run this Python: ```python\n6 * 7\n```")


async def test_no_word_of_code_counts_as_a_word_of_the_sentence(services: Services) -> None:
    codes = [code for code, _ in REFUSED.values()]
    codes += [
        "while True:\n    if not 1: continue\n    break",
        "wait = 'until tomorrow, then stop'\nprint(wait)",
    ]
    for code in codes:
        events = await Conversing(services).say(f"Run this Python:\n{code}")
        [call] = [one for one in events if isinstance(one, ToolCalled)]
        # Long arguments are cut in events.
        assert code.strip().startswith(call.arguments["code"].partition("… (")[0]), code
