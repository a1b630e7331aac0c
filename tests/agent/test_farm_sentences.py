"""The sentences that are offered for what a model wants to do on the farm ask for exactly that."""

from __future__ import annotations

from typing import Any

import pytest

from agent.tools import ALL_TOOLS, DirectToolset
from agent.tools.toolset import prepare_call
from agent.understanding import Grammar, Understanding

CALLS: list[tuple[str, dict[str, Any]]] = [
    *(
        ("change_machine", {"action": action, "machine": "gpu-2"})
        for action in ("accept", "reinstall", "drain", "undrain", "switch_on", "switch_off", "retire")
    ),
    ("change_machine", {"action": "accept", "machine": "pluto", "name": "gpu-3"}),
    ("ansible", {"machines": "gpu-1, gpu-2", "playbook": "site"}),
    ("ansible", {"machines": "all", "role": "nomad"}),
    ("cancel_run", {"run": "run_01m7x62t1ff9vn5br46n53t9xj"}),
    ("change_job", {"action": "deploy", "job": "tts"}),
    ("change_job", {"action": "scale", "job": "tts", "count": 3}),
    ("change_job", {"action": "stop", "job": "llm-expert"}),
    ("ssh", {"machine": "pluto", "command": "systemctl status --no-pager nomad"}),
]


@pytest.mark.parametrize("name, arguments", CALLS)
def test_what_is_offered_is_what_is_done(grammar: Grammar, name: str, arguments: dict[str, Any]) -> None:
    toolset = DirectToolset(ALL_TOOLS)
    call = prepare_call(toolset, name, arguments)
    sentence = grammar.wording(call.rule).sentence(arguments)
    found = grammar.understand(sentence)
    assert isinstance(found, Understanding), sentence
    assert found.tool == name
    assert prepare_call(toolset, name, found.arguments).request == call.request, sentence
