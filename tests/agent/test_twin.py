"""The TwinService in pipecat's own pipeline and runner: text in, text out, interruptions end answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from metric_values import metric_value
from scripted_model import Call, Say, Script, scripted_model
from sentences import SentenceSnapshot

from app.composition import open_services
from soundstage.settings import Settings

pytest.importorskip("pipecat", reason="needs pipecat: run `uv sync --inexact --extra voice`")

from pipecat.frames.frames import (
    InputTextRawFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)
from voice_call import ME, OnCall, calling, spoken

from agent.voice.twin import BrainEventFrame


@asynccontextmanager
async def on_call(settings: Settings, *script: Script) -> AsyncIterator[OnCall]:
    async with scripted_model(*script) as model:
        near = {"base_url": model.base_url, "model": "scripted"}
        chosen = Settings.model_validate({**settings.model_dump(exclude={"llm"}), "llm": {"local": near}})
        async with open_services(chosen) as services, calling(services, model) as call:
            services.brain.reader = None
            yield call


async def test_what_is_said_and_typed_is_answered_in_its_order_in_one_session(settings: Settings) -> None:
    async with on_call(settings, Call("list_personas"), Say("Nova can."), Say("You are welcome.")) as call:
        await call.say(spoken("tell me somebody who could talk for us"))
        await call.listener.until(LLMFullResponseEndFrame)
        await call.say(InputTextRawFrame("well, that is nice of you"))
        await call.listener.until(LLMFullResponseEndFrame, 2)
        turns = await call.services.brain.sessions.turns(ME, call.twin.session_id or "")
    assert [turn.reply for turn in turns] == ["Nova can.", "You are welcome."]
    assert call.listener.words == "Nova can.You are welcome."
    kinds = [type(one) for one in call.listener.heard if not isinstance(one, BrainEventFrame)]
    start, end = kinds.index(LLMFullResponseStartFrame), kinds.index(LLMFullResponseEndFrame)
    # What pipecat tells its clients about the answer runs beside it.
    assert LLMTextFrame in kinds[start + 1 : end]
    events = [one.event.type for one in call.listener.heard if isinstance(one, BrainEventFrame)]
    assert events[:3] == ["turn", "tool_call", "tool_result"]


async def test_an_interruption_ends_the_answer_and_the_next_one_is_heard(settings: Settings) -> None:
    script = (Say("one two three", hold=asyncio.Event()), Say("Yes?"))
    async with on_call(settings, *script) as call:
        await call.say(spoken("count for me, would you"))
        await call.listener.until(LLMTextFrame)
        await call.say(InterruptionFrame())
        await call.listener.until(InterruptionFrame)
        await call.say(spoken("hold on, something else"))
        await call.listener.until(LLMFullResponseEndFrame)
        turns = await call.services.brain.sessions.turns(ME, call.twin.session_id or "")
    assert [turn.state for turn in turns] == ["cancelled", "done"]
    assert call.listener.words == "oneYes?"
    assert (
        metric_value("routing", result="cancelled"),
        metric_value("routing", backend="model", result="ok"),
    ) == (1, 1)
    assert metric_value("turn_seconds") == 2


async def test_the_grammar_answers_without_the_model_and_mistakes_are_said(
    settings: Settings, snapshot: SentenceSnapshot
) -> None:
    async with on_call(settings, Say("never asked")) as call:
        await call.say(spoken("list my videos"), spoken("   "), spoken("cancel it"))
        await call.listener.until(LLMFullResponseEndFrame, 2)
        assert call.model.asked == []
    assert call.listener.words == snapshot("no_videos")


async def test_the_end_of_the_pipeline_waits_for_the_answer(settings: Settings) -> None:
    async with on_call(settings, Say("one two three four five", pause_s=0.05)) as call:
        await call.say(spoken("count for me, would you"))
    assert call.listener.words == "one two three four five"
