"""A model of a known family is asked as it wants: fields of requests, thoughts, context. Cost is counted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from metric_values import metric_value
from model_talk import QUESTION, Talk, Talking, notices, texts
from scripted_model import Call, Say, Status, scripted_model, stream

from agent.events import BrainEvent, Done, ModelUsage, ToolCalled, ToolReturned
from agent.experts.consul import ConsulExperts
from agent.model.backend import TextPiece, Thought
from agent.model.openai_server import OpenAiServer
from agent.model.presets import SETTABLE, Preset, preset_for, read_presets
from app.cli.progress import usage_line
from soundstage.errors import SoundstageError
from soundstage.settings.conversation import ExpertSettings
from soundstage.settings.sections import LlmSettings

FIELDS = ("temperature", "tool_choice", "parallel_tool_calls", "reasoning_effort", "chat_template_kwargs")


def fields_of(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in FIELDS if name in body}


def usage_of(events: list[BrainEvent]) -> ModelUsage | None:
    [done] = [event for event in events if isinstance(event, Done)]
    return done.usage


@pytest.mark.parametrize(
    "model, family",
    [
        ("qwen3:8b", "qwen3"),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", "qwen3"),
        ("qwen2.5-7b-instruct", "qwen2"),
        ("llama3.1:8b", "llama3"),
        ("Meta-Llama-3.3-70B-Instruct", "llama3"),
        ("openai/gpt-oss-20b", "gpt-oss"),
        ("mistral-small3.2", "mistral"),
        ("Ministral-8B-Instruct", "mistral"),
        ("gpt-5-mini", "openai-reasoning"),
        ("o3", "openai-reasoning"),
        ("gpt-4o", "openai"),
        ("claude-sonnet-4-5", "anthropic"),
        ("scripted", ""),
    ],
)
def test_the_family_is_found_in_the_name_of_the_model(model: str, family: str) -> None:
    assert preset_for(model, {}).family == family


def test_settings_and_consul_say_more_than_the_family() -> None:
    chosen = preset_for(
        "qwen3:8b", {"temperature": "0.1", "parallel_calls": "false", "context_tokens": "8192"}
    )
    assert (chosen.temperature, chosen.parallel_calls, chosen.context_tokens) == (0.1, False, 8192)
    assert chosen.return_thoughts, "the rest is the family's"
    assert preset_for("our-own", {"family": "llama3"}).temperature == 0.6
    assert set(LlmSettings.model_fields) >= SETTABLE


@pytest.mark.parametrize("wrong", [{"family": "lama"}, {"temperature": "hot"}, {"effort": "much"}])
def test_a_value_that_cannot_be_is_an_error_with_a_hint(wrong: dict[str, str]) -> None:
    with pytest.raises(SoundstageError, match="cannot be") as error:
        preset_for("m", wrong)
    assert error.value.code == "model.wrong_preset" and error.value.hint


@pytest.mark.parametrize(
    "model, how", [("qwen3:8b", "json_schema"), ("gpt-oss-20b", None), ("claude-sonnet", None)]
)
def test_a_family_says_how_an_answer_of_a_fixed_form_is_asked_for(model: str, how: str | None) -> None:
    assert preset_for(model, {}).structured_output == how
    assert preset_for(model, {"structured_output": "tool"}).structured_output == "tool"


def test_every_field_of_a_preset_is_sent_or_read() -> None:
    full = Preset(temperature=1, tool_choice="auto", parallel_calls=True, effort="low")
    assert set(full.fields(tools=True)) == {*FIELDS} - {"chat_template_kwargs"}
    assert set(full.fields(tools=False)) == {"temperature", "reasoning_effort"}
    thinking = Preset(effort="none", effort_as="enable_thinking")
    assert thinking.fields(tools=False) == {"chat_template_kwargs": {"enable_thinking": False}}
    assert len({one.family for one in read_presets()}) == len(read_presets())


async def test_the_request_of_a_talk_has_the_fields_of_its_family(talking: Talking) -> None:
    async with talking(Say("Yes."), local={"model": "gpt-oss:20b", "effort": "high"}) as talk:
        await talk.say(QUESTION)
        [body] = talk.model.asked
        [line] = (await talk.services.experts.survey()).experts
    assert fields_of(body) == {
        "temperature": 1.0,
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "reasoning_effort": "high",
    }
    assert line.family == "gpt-oss"


async def test_an_unknown_model_gets_no_field_that_nobody_chose(talking: Talking) -> None:
    async with talking(Say("Yes.")) as talk:
        await talk.say(QUESTION)
        assert fields_of(talk.model.asked[0]) == {}


async def test_a_field_that_the_server_refuses_is_left_out_from_then_on() -> None:
    def answer(body: Mapping[str, Any]) -> Say | Status:
        for name in ("temperature", "parallel_tool_calls"):
            if name in body:
                words = f"Unsupported value: '{name}' does not support 0.6 with this model."
                return Status(400, body=json.dumps({"error": {"message": words, "param": name}}))
        return Say("Yes.")

    tool = {"type": "function", "function": {"name": "x", "parameters": {"type": "object"}}}
    async with scripted_model(answer) as model:
        server = OpenAiServer("x", model.base_url, "m", preset=preset_for("qwen3", {}))
        for _ in range(2):
            pieces = [piece async for piece in server.ask([], [tool], max_tokens=9)]
            assert pieces == [TextPiece("Yes.")]
        assert len(model.asked) == 4, "it is learned once"
        assert fields_of(model.asked[-1]) == {"tool_choice": "auto"}


def test_a_service_in_consul_says_how_it_is_asked() -> None:
    experts = ConsulExperts(ExpertSettings())
    assert experts._preset("a", {"model": "mistral-small", "temperature": "0.7"}).temperature == 0.7
    assert experts.problem == ""
    assert experts._preset("a", {"model": "mistral-small", "temperature": "hot"}).temperature == 0.15
    assert "temperature" in experts.problem


@pytest.mark.parametrize("model, back", [("gpt-oss:20b", True), ("llama3.1:8b", False)])
async def test_thoughts_go_back_to_a_model_that_needs_them_and_to_nobody_else(
    talking: Talking, model: str, back: bool
) -> None:
    think = Call("list_renders", think="I look at the list.")
    async with talking(think, Say("None."), local={"model": model}) as talk:
        events = await talk.say(QUESTION)
        answers = [one for one in talk.model.asked[1]["messages"] if one["role"] == "assistant"]
        await talk.say(f"{QUESTION} again")
    assert [one.get("reasoning_content") for one in answers] == ["I look at the list." if back else None]
    assert texts(events) == ["None."]
    assert "I look at" not in "".join(event.model_dump_json() for event in events)
    assert "I look at" not in json.dumps(talk.model.asked[-1]), "only within one answer"


async def test_thoughts_in_the_text_are_thoughts_as_well() -> None:
    line = stream({"content": "<thi"}, {"content": "nk>I look "}, {"content": "at it.</think>\n\nYes."})
    async with scripted_model(line) as model:
        server = OpenAiServer("x", model.base_url, "m")
        pieces = [piece async for piece in server.ask([], [], max_tokens=9)]
    assert "".join(one.text for one in pieces if isinstance(one, Thought)) == "I look at it."
    assert [one.text for one in pieces if isinstance(one, TextPiece)] == ["Yes."]


async def test_thoughts_do_not_go_to_another_model(talking: Talking) -> None:
    think = Call("list_renders", think="I look at the list.")
    async with scripted_model(Say("None, says another.")) as other:
        cloud = {"base_url": other.base_url, "model": "gpt-4o"}
        async with talking(think, Status(500), local={"model": "gpt-oss:20b"}, cloud=cloud) as talk:
            assert texts(await talk.say(QUESTION)) == ["None, says another."]
    assert "I look at" not in json.dumps(other.asked)


async def test_turns_that_have_no_room_in_the_context_stay_away(talking: Talking) -> None:
    local = {"model": "scripted", "context_tokens": 4500}
    async with talking(Say("I heard you."), local=local) as talk:
        for number in range(6):
            events = await talk.say(f"{QUESTION} {number} {'and so on ' * 120}")
            assert notices(events) == []
        lengths = [len(one["messages"]) for one in talk.model.asked]
        limits = [one["max_tokens"] for one in talk.model.asked]
    assert lengths[1] == 4 and lengths[-1] < 12, "the first turns stay, later ones take their place"
    assert all(512 <= limit < 4096 for limit in limits)


# Twelve calls, several at once.


async def test_a_turn_has_twelve_requests_of_usual_length(talking: Talking) -> None:
    number = iter(range(1, 12))

    def answer(_: Mapping[str, Any]) -> Call | Say:
        limit = next(number, None)
        usage = {
            "total_tokens": 6000,
            "prompt_tokens": 5900,
            "prompt_tokens_details": {"cached_tokens": 5000},
        }
        return Say("All seen.") if limit is None else Call("list_renders", {"limit": limit}, usage=usage)

    async with talking(answer) as talk:
        events = await talk.say(QUESTION)
        assert len(talk.model.asked) == 12
        metrics = talk.services.metrics.text().decode()
    assert texts(events) == ["All seen."] and notices(events) == []
    usage = usage_of(events)
    assert usage is not None and (usage.model, usage.requests) == ("local", 12)
    assert usage.tokens > 11 * 6000 and usage.cached_tokens == 11 * 5000 and usage.seconds > 0
    assert usage_line(usage).startswith("local: 12 requests, 6")
    assert " tokens (55000 read before), " in usage_line(usage)
    assert 'soundstage_model_requests_total{model="local",outcome="ok"} 12.0' in metrics
    assert 'soundstage_model_tokens_total{kind="cached",model="local"} 55000.0' in metrics
    assert 'soundstage_model_first_piece_seconds_count{model="local"} 12.0' in metrics
    assert metric_value("model_requests", outcome="ok") == metric_value("model_seconds", model="local") == 12
    assert metric_value("model_first_piece_seconds") == metric_value("outgoing_seconds", result="ok") == 12
    assert metric_value("model_tokens", kind="cached") == 55000
    assert metric_value("tool_seconds", tool="list_renders", result="ok") == 11


async def test_an_answer_without_a_model_has_no_cost_and_a_failed_one_has(talking: Talking) -> None:
    async with talking(Status(500)) as talk:
        assert usage_of(await talk.say("list my videos")) is None
        failed = usage_of(await talk.say(QUESTION))
        metrics = talk.services.metrics.text().decode()
    assert failed is not None and (failed.requests, failed.tokens) == (1, 0)
    assert 'soundstage_model_requests_total{model="local",outcome="model.refused"} 1.0' in metrics


READS = Call("list_personas", also=(Call("list_renders"), Call("list_projects")))


class _SlowToolset:
    """Holds each call until as many as expected run, or forever."""

    def __init__(self, inner: Any, together: int) -> None:
        self._inner = inner
        self._together = asyncio.Barrier(together)
        self.order: list[str] = []

    @property
    def tools(self) -> Any:
        return self._inner.tools

    async def run(self, context: Any, call: Any) -> Any:
        self.order.append(call.tool.name)
        if call.act.effect == "read":
            async with asyncio.timeout(10):
                await self._together.wait()
        return await self._inner.run(context, call)


def slow_tools(talk: Talk, together: int) -> _SlowToolset:
    brain = talk.services.brain
    assert brain.model is not None
    slow = _SlowToolset(brain.toolset, together)
    brain.toolset = brain.model.toolset = slow
    return slow


async def test_calls_that_only_read_run_at_once_and_are_told_in_their_order(talking: Talking) -> None:
    async with talking(READS, Say("Three lists.")) as talk:
        slow_tools(talk, 3)
        events = await talk.say(QUESTION)
        answered = [one["tool_call_id"] for one in talk.model.asked[1]["messages"] if one["role"] == "tool"]
    order = [event.tool for event in events if isinstance(event, ToolCalled | ToolReturned)]
    assert order == ["list_personas", "list_renders", "list_projects"] * 2
    assert answered == ["call_1_0", "call_1_1", "call_1_2"]
    assert texts(events) == ["Three lists."]


async def test_a_change_waits_for_the_reads_before_it_and_those_after_it_wait_for_it(
    talking: Talking,
) -> None:
    make = Call("make_render", {"script": "Tides come and go.", "persona": "nova"})
    after = (Call("list_projects"), Call("list_renders", {"limit": 3}))
    mixed = Call("list_personas", also=(Call("list_renders"), make, *after))
    async with talking(mixed, Say("It is being made.")) as talk:
        slow = slow_tools(talk, 2)
        events = await talk.say("Nova and tides, make a thirty second video, surprise us")
        answered = [one["tool_call_id"] for one in talk.model.asked[1]["messages"] if one["role"] == "tool"]
    assert slow.order == ["list_personas", "list_renders", "make_render", "list_projects", "list_renders"]
    returned = [event for event in events if isinstance(event, ToolReturned)]
    assert len(returned) == 5 and returned[-1].result["renders"], "the list after the change has the video"
    assert answered == [f"call_1_{number}" for number in range(5)]


async def test_one_of_several_reads_may_fail_and_the_model_gets_its_error(talking: Talking) -> None:
    reads = Call("show_render", {"render": "rnd_nonesuch"}, also=(Call("list_renders"),))
    async with talking(reads, Say("There is none.")) as talk:
        events = await talk.say(QUESTION)
        contents = talk.model.told(1)
    assert "rnd_nonesuch" in contents and '"renders": []' in contents
    assert texts(events) == ["There is none."] and notices(events) == []
