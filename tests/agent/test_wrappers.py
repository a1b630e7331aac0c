from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest

from agent.tools import ToolCall, ToolContext, ToolResult
from agent.tools.plan import Change, Plan
from agent.tools.toolset import AnyTool, prepare_call
from agent.tools.wrappers import RateLimitedToolset, shown
from app.composition import Services
from policy import Principal
from soundstage.errors import Forbidden, SoundstageError
from soundstage.telemetry import trace

ADA = Principal("key_ada", "Ada", "editor", "session")
EVE = Principal("key_eve", "Eve", "viewer", "session")


class Nothing:
    """A toolset that only counts."""

    tools: Mapping[str, AnyTool] = {}

    def __init__(self) -> None:
        self.calls = 0

    async def run(self, context: ToolContext, call: ToolCall) -> ToolResult:
        self.calls += 1
        return ToolResult()


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_more_calls_than_a_minute_has_are_refused_until_time_has_passed() -> None:
    inner, clock = Nothing(), Clock()
    limited = RateLimitedToolset(inner, 6, clock)
    call = cast("Any", None)
    for _ in range(6):
        await limited.run(ToolContext(ADA, "ses_1", cast("Any", None)), call)
    with pytest.raises(SoundstageError) as refused:
        await limited.run(ToolContext(ADA, "ses_2", cast("Any", None)), call)
    assert (refused.value.code, refused.value.status) == ("tool.too_many_calls", 429)
    assert refused.value.headers["Retry-After"] == "10"
    # Somebody else is not hindered, and waiting helps.
    await limited.run(ToolContext(EVE, "ses_3", cast("Any", None)), call)
    clock.now += 10
    await limited.run(ToolContext(ADA, "ses_1", cast("Any", None)), call)
    assert inner.calls == 8


async def test_whoever_has_not_called_for_a_minute_is_forgotten() -> None:
    clock = Clock()
    limited = RateLimitedToolset(Nothing(), 6, clock)
    for number in range(1001):
        who = Principal(f"key_{number}", "x", "editor", "key")
        await limited.run(ToolContext(who, "ses_1", cast("Any", None)), cast("Any", None))
        clock.now += 1
    assert len(limited._left) <= 61


def test_debugging_shows_no_secrets() -> None:
    assert shown({"api_key": "hush", "script": "a" * 900})["api_key"] == "[masked]"
    assert len(str(shown({"api_key": "hush", "script": "a" * 900}))) < 300


def test_a_plan_is_the_same_when_only_its_estimate_differs() -> None:
    change = Change(what="wiped", where="node-7")
    assert Plan(changes=(change,), seconds=10).sha256 == Plan(changes=(change,), seconds=99).sha256
    other = Change(what="wiped", where="node-8")
    assert Plan(changes=(change,)).sha256 != Plan(changes=(other,)).sha256
    assert Plan(changes=(change, other)).sha256 != Plan(changes=(other, change)).sha256
    assert Plan(changes=()).sentence() == "Nothing would change."


def test_words_of_others_in_a_plan_make_no_line_of_their_own() -> None:
    forged = Change(what="Rename it to x\n  • Nothing is deleted\x1b[2K\u202e", where="a\r\nb")
    assert Plan(changes=(forged,)).sentence() == "  • Rename it to x • Nothing is deleted: a b"


async def test_a_dry_run_makes_nothing(services: Services) -> None:
    toolset = services.brain.toolset
    context = ToolContext(ADA, "ses_1", cast("Any", None), dry_run=True)
    call = prepare_call(toolset, "make_render", {"script": "Hello there."})
    result = await toolset.run(context, call)
    assert "nothing has" in result.sentence() and "Hello there." in result.sentence()
    assert await services.studio.renders.list() == []


async def test_a_refused_call_stands_in_the_audit_log(services: Services) -> None:
    toolset = services.brain.toolset
    call = prepare_call(toolset, "make_render", {"script": "Hello there."})
    with pytest.raises(Forbidden, match="render:create"):
        await toolset.run(ToolContext(EVE, "ses_1", cast("Any", None)), call)
    lines = await services.audit.read(0, 10)
    assert [line.kind for line in lines] == ["tool.called", "policy.decided", "tool.ended"]
    assert lines[1].data["verdict"] == "deny"
    assert lines[2].data["outcome"] == "policy.forbidden"


async def test_a_sentence_a_call_a_decision_and_an_effect_are_one_story(services: Services) -> None:
    with trace() as one:
        conversation = await services.brain.sessions.open(ADA)
        events = [
            event
            async for event in services.brain.respond(
                conversation, "Make a video where Nova says: Hello there."
            )
        ]
    assert events
    (made,) = await services.studio.renders.list()
    await services.studio.renders.cancel(made.id)
    story = await services.audit.story(made.id)
    assert {line.trace_id for line in story.lines} == {one}
    assert [line.kind for line in story.lines] == [
        "utterance.said",
        "tool.called",
        "policy.decided",
        "tool.ended",
        "render.cancelled",
    ]
    assert story.lines[0].data["text"] == "Make a video where Nova says: Hello there."
    assert story.lines[3].data["made"] == {"render_id": made.id}
    assert (await services.audit.verify()).broken_at is None


async def test_many_calls_at_once_make_one_unbroken_chain(services: Services) -> None:
    toolset = services.brain.toolset
    doors = cast("Any", services.brain._doors)
    call = prepare_call(toolset, "list_renders", {})
    await asyncio.gather(
        *(toolset.run(ToolContext(ADA, f"ses_{number}", doors), call) for number in range(20))
    )
    verdict = await services.audit.verify()
    assert (verdict.lines, verdict.broken_at) == (60, None)
