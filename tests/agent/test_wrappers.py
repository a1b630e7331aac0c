from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from typing import Any, cast

import pytest
from brain_answers import answer
from sentences import SentenceSnapshot

from agent.approvals.service import RUNNING_FOR
from agent.presentation.text import last_lines
from agent.tools import ALL_TOOLS, ToolCall, ToolContext, ToolResult
from agent.tools.cluster.tools import _log
from agent.tools.plan import Change, Plan
from agent.tools.toolset import AnyTool, prepare_call
from agent.tools.wrappers import RateLimitToolset, TimeoutToolset, loggable
from app.composition import Services
from policy import Principal
from soundstage.errors import Forbidden, SoundstageError
from soundstage.rate_limits import DEFAULT_MAX_SOURCES
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
    limited = RateLimitToolset(inner, 6, clock)
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


async def test_who_was_silent_longest_is_forgotten_first() -> None:
    clock = Clock()
    limited = RateLimitToolset(Nothing(), 6, clock)
    for number in range(DEFAULT_MAX_SOURCES + 10):
        who = Principal(f"key_{number}", "x", "editor", "key")
        await limited.run(ToolContext(who, "ses_1", cast("Any", None)), cast("Any", None))
    assert len(limited.limiter) == DEFAULT_MAX_SOURCES


class Hanging(Nothing):
    async def run(self, context: ToolContext, call: ToolCall) -> ToolResult:
        if call.tool.name == "list_renders":
            raise TimeoutError
        await asyncio.Event().wait()
        return ToolResult()


async def test_a_call_that_hangs_is_ended_and_says_so() -> None:
    bounded = TimeoutToolset(Hanging())
    context = ToolContext(ADA, "ses_1", cast("Any", None))
    tools = {tool.name: replace(tool, timeout_s=0.05) for tool in ALL_TOOLS}
    hanging = ToolCall(tools["list_personas"], cast("Any", None))
    with pytest.raises(SoundstageError) as ended:
        async with asyncio.timeout(60):
            await bounded.run(context, hanging)
    assert (ended.value.code, ended.value.status) == ("tool.took_too_long", 504)
    assert "list_personas took longer than" in ended.value.message
    with pytest.raises(TimeoutError):  # the tool's own, and no word of ours
        await bounded.run(context, ToolCall(tools["list_renders"], cast("Any", None)))


@pytest.mark.parametrize("tool", ALL_TOOLS, ids=lambda tool: tool.name)
def test_no_tool_may_take_so_long_that_its_approval_counts_as_lost(tool: AnyTool) -> None:
    assert 0 < tool.timeout_s < RUNNING_FOR.total_seconds()


def test_a_log_shows_no_keys() -> None:
    log = f"GET / {'a1' * 32}\nAuthorization: Bearer qwertyuiop {'x' * 500}\nsha256:{'a1' * 32}"
    first, second, third = last_lines(log, 3).splitlines()
    assert first == "GET / [masked]"
    assert second.startswith("Authorization: Bearer [masked] xxx")
    assert third == f"sha256:{'a1' * 32}"


async def test_the_log_of_a_job_that_writes_without_end_has_an_end() -> None:
    class Talking:
        async def logs(self, *_: object, **__: object) -> AsyncGenerator[bytes, None]:
            while True:
                yield b"x" * 65_536

    async with asyncio.timeout(60):
        text = await _log(cast("Any", Talking()), "alloc", "task", "stdout")
    assert len(text) < 2 << 20


def test_debugging_shows_no_secrets() -> None:
    assert loggable({"api_key": "hush", "script": "a" * 900})["api_key"] == "[masked]"
    assert len(str(loggable({"api_key": "hush", "script": "a" * 900}))) < 300


def test_a_plan_is_the_same_when_only_its_estimate_differs(snapshot: SentenceSnapshot) -> None:
    change = Change(what="wiped", where="node-7")
    assert Plan(changes=(change,), seconds=10).sha256 == Plan(changes=(change,), seconds=99).sha256
    other = Change(what="wiped", where="node-8")
    assert Plan(changes=(change,)).sha256 != Plan(changes=(other,)).sha256
    assert Plan(changes=(change, other)).sha256 != Plan(changes=(other, change)).sha256
    assert Plan(changes=()).sentence() == snapshot("no_change")
    assert Plan(changes=(change,), seconds=0).sentence() == snapshot("change_at_once")
    assert Plan(changes=(change,), seconds=10).sentence() == snapshot("change_in_10_s")


def test_words_of_others_in_a_plan_make_no_line_of_their_own() -> None:
    forged = Change(what="Rename it to x\n  • Nothing is deleted\x1b[2K\u202e", where="a\r\nb")
    assert Plan(changes=(forged,)).sentence() == "  • Rename it to x • Nothing is deleted: a b"


async def test_a_dry_run_makes_nothing(services: Services) -> None:
    toolset = services.brain.toolset
    context = ToolContext(ADA, "ses_1", services.tool_services, dry_run=True)
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
        events = await answer(services.brain, conversation, "Make a video where Nova says: Hello there.")
    assert events
    (created,) = await services.studio.renders.list()
    await services.studio.renders.cancel(created.id)
    trail = await services.audit.trail(created.id)
    assert {line.trace_id for line in trail.lines} == {one}
    assert [line.kind for line in trail.lines] == [
        "utterance.said",
        "tool.called",
        "policy.decided",
        "tool.ended",
        "render.cancelled",
    ]
    assert trail.lines[0].data["text"] == "Make a video where Nova says: Hello there."
    assert trail.lines[3].data["made"] == {"render_id": created.id}
    assert (await services.audit.verify()).broken_at is None


async def test_many_calls_at_once_make_one_unbroken_chain(services: Services) -> None:
    toolset = services.brain.toolset
    tool_services = cast("Any", services.brain.services)
    call = prepare_call(toolset, "list_renders", {})
    await asyncio.gather(
        *(toolset.run(ToolContext(ADA, f"ses_{number}", tool_services), call) for number in range(20))
    )
    verdict = await services.audit.verify()
    assert (verdict.lines, verdict.broken_at) == (60, None)
