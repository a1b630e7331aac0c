"""A request to a model carries few tools, those that fit, in an order that changes only when it must."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from model_talk import QUESTION, Talking, failed_tools, results, texts
from scripted_model import Call, Say

from agent.answering.fitting_tools import fitting_tools, minimum_tools
from agent.model.offered_tools import (
    FIND_TOOLS,
    MOST_TOOLS,
    SCHEMA_TOKENS,
    OfferedTools,
    descriptions,
    schema_tokens,
)
from agent.tools import ALL_TOOLS
from agent.tools.record import Act, ToolContext, ToolRequest, ToolResult, tool
from agent.understanding import Grammar
from agent.understanding.dialogue import Dialogue
from agent.understanding.interpreter import Interpreter
from agent.understanding.trained import load_reader
from bench.nlu_evaluation.cases import Case, Turn, read_cases, read_world
from policy import Principal
from soundstage.database import utcnow

ADMIN = Principal.local_admin("test")
LEAST_OFFERED = 0.95
"""Share of the wanted calls of the development half whose tools are among the first that a model gets."""
UNSURE = "the thing with the boats could do with being a bit more like the other one, perhaps"


@cache
def words_of_tools() -> dict[str, str]:
    return descriptions(ALL_TOOLS, Grammar.load().help)


def selection(fitting: Sequence[str] = (), before: Sequence[str] = ()) -> OfferedTools:
    return OfferedTools(ALL_TOOLS, ADMIN, words_of_tools(), fitting, fitting[:3], before)


def names(body: dict[str, Any]) -> list[str]:
    return [one["function"]["name"] for one in body["tools"]]


def dev_turns() -> list[tuple[Case, Turn]]:
    return [(case, turn) for case in read_cases() if case.half == "dev" for turn in case.turns]


def test_no_sentence_of_the_development_half_costs_more_than_3000_tokens_of_schemas() -> None:
    reader = load_reader(train=True, encoder=True)
    assert reader is not None
    world, interpreter = read_world(frozenset(reader.common_words)), Interpreter(reader)
    most, right, expected = 0, 0, 0
    for _, turn in dev_turns():
        read = interpreter.interpret(turn.say, world, Dialogue(), utcnow().replace(tzinfo=None))
        fitting = fitting_tools(reader, turn.say, world, read.candidates)
        chosen = OfferedTools(ALL_TOOLS, ADMIN, {}, fitting, minimum_tools(read.candidates))
        assert len(chosen.schemas) <= MOST_TOOLS
        most = max(most, schema_tokens(chosen.schemas))
        for call in turn.calls_expected():
            expected += 1
            right += call.intent.partition(".")[0] in chosen.names
    print(f"most tokens of schemas: {most}; tools of {right} of {expected} expected calls were offered")
    assert most < SCHEMA_TOKENS
    assert right >= LEAST_OFFERED * expected


def test_whatever_a_turn_uses_its_request_stays_below_the_limits() -> None:
    chosen = selection()
    for one in ALL_TOOLS:
        chosen.add(one.name)
        assert one.name in chosen.names
        assert len(chosen.schemas) <= MOST_TOOLS and schema_tokens(chosen.schemas) < SCHEMA_TOKENS


def test_a_conversation_keeps_its_tools_while_they_fit_and_new_ones_come_last() -> None:
    first = selection(["make_render", "list_renders"])
    same = selection(["list_renders"], first.names)
    assert same.names == first.names
    grown = selection(["ssh"], first.names)
    assert grown.names == (*first.names, "ssh")
    others = ["memory", "vision", "audit", "snapshots"]
    assert set(others[:3]) <= set(selection(others, grown.names).names)


def test_two_conversations_about_the_same_have_the_same_tools_in_the_same_order() -> None:
    assert selection(["ssh", "job_logs"]).names == selection(["job_logs", "ssh"]).names


@pytest.mark.parametrize(
    "query, tool_name",
    [
        ("remember something", "memory"),
        ("what a picture shows", "vision"),
        ("save a snapshot", "snapshots"),
        ("run a command on a machine", "ssh"),
        ("who did what", "audit"),
        ("run some Python code", "code_runner"),
        ("logs of a job", "job_logs"),
        ("delete a video", "cancel_render"),
    ],
)
def test_a_tool_is_found_by_what_it_does(query: str, tool_name: str) -> None:
    chosen = selection()
    found = [one["name"] for one in chosen.find(query)["found"]]
    assert tool_name in found
    assert tool_name in chosen.names


def test_a_query_that_fits_nothing_gets_the_names_of_all_tools() -> None:
    assert selection().find("zzz")["all"] == [one.name for one in ALL_TOOLS]


def test_tools_with_long_schemas_are_fewer() -> None:
    @tool(Act("read", "render:read"))
    async def read_charts(context: ToolContext, request: ToolRequest) -> ToolResult:
        """Reads charts."""
        raise NotImplementedError

    many = [replace(read_charts, name=f"charts_{number}", purpose="x" * 3000) for number in range(9)]
    chosen = OfferedTools([*many, *ALL_TOOLS], ADMIN, {}, [one.name for one in many])
    assert schema_tokens(chosen.schemas) < SCHEMA_TOKENS
    assert len([name for name in chosen.names if name.startswith("charts_")]) == 3


async def test_a_model_finds_a_tool_that_it_was_not_given_and_calls_it(talking: Talking) -> None:
    async with talking(
        Call(FIND_TOOLS, {"query": "list saved snapshots"}),
        Call("snapshots", {"action": "list"}),
        Say("None is saved."),
        reader=False,
    ) as talk:
        events = await talk.say(QUESTION)
        first, second, third = talk.model.asked
        assert '"name": "snapshots"' in talk.model.told(1)
    assert "snapshots" not in names(first) and names(first)[0] == FIND_TOOLS
    assert "snapshots" in names(second) and "snapshots" in names(third)
    assert [event.tool for event in results(events)] == ["snapshots"]
    assert texts(events) == ["None is saved."] and failed_tools(events) == []


async def test_a_search_that_is_repeated_finds_nothing_new_and_ends(talking: Talking) -> None:
    async with talking(Call(FIND_TOOLS, {"query": "snapshots"})) as talk:
        await talk.say(QUESTION)
        assert len(talk.model.asked) == 6


async def test_a_viewer_finds_no_tool_that_changes_something(talking: Talking) -> None:
    async with talking(Call(FIND_TOOLS, {"query": "make a video"}), Say("No."), role="viewer") as talk:
        await talk.say(QUESTION)
        assert "make_render" not in talk.model.told(1)
        assert "make_render" not in names(talk.model.asked[1])


async def test_what_two_turns_share_is_the_beginning_of_their_requests(talking: Talking) -> None:
    async with talking(Say("Which boats?"), reader=True) as talk:
        for number in range(3):
            await talk.say(f"{UNSURE} {number}")
        one, two, three = talk.model.asked
    for before, after in ((one, two), (two, three)):
        assert after["tools"] == before["tools"]
        assert after["messages"][: len(before["messages"]) - 1] == before["messages"][:-1]
        earlier = after["messages"][len(before["messages"]) - 1]["content"]
        assert before["messages"][-1]["content"].startswith(earlier)
    assert "Today" not in json.dumps(one["messages"][:-1])


async def test_two_conversations_share_their_instructions(talking: Talking) -> None:
    async with talking(Say("Which boats?"), reader=True) as talk:
        await talk.say(UNSURE)
        talk.session_id = None
        await talk.say(UNSURE)
        one, two = (request["messages"][0]["content"] for request in talk.model.asked)
    assert one.splitlines()[:-1] == two.splitlines()[:-1]
    assert one != two, "each conversation has its own word for its marks"


async def test_the_history_begins_at_the_same_turn_for_five_turns(talking: Talking) -> None:
    async with talking(Say("Yes.")) as talk:
        for number in range(17):
            await talk.say(f"{QUESTION} {number}")
        first = [request["messages"][1]["content"].rpartition(" ")[2] for request in talk.model.asked[11:]]
        lengths = [len(request["messages"]) // 2 - 1 for request in talk.model.asked]
    assert first == ["5"] * 5 + ["10"]
    assert max(lengths) == 10 and min(lengths[10:]) == 6
