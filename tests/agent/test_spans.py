"""Spans of the agent follow OpenTelemetry's GenAI conventions, and hold nothing of what is said."""

from __future__ import annotations

import inspect
from typing import Any

from model_talk import QUESTION, Talking
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from scripted_model import Call, Say

from agent import genai
from soundstage.database.tenants import DEFAULT_TENANT
from soundstage.tracing import trace

SECRET = "Marmalade skies"
USAGE = {"prompt_tokens": 90, "completion_tokens": 7, "total_tokens": 97}


def test_the_names_are_those_of_the_pinned_conventions() -> None:
    names = {
        value
        for name, value in inspect.getmembers(genai)
        if name.isupper() and str(value).startswith("gen_ai.")
    }
    assert len(names) == 12
    assert names <= {value for value in vars(gen_ai_attributes).values() if isinstance(value, str)}


async def test_a_turn_with_a_model_and_a_tool_is_a_tree_of_genai_spans(talking: Talking) -> None:
    script = [Call("list_renders", {"limit": 3}, usage=USAGE), Say(f"There are none. {SECRET}.")]
    async with talking(*script, reader=False) as talk:
        with trace() as current:
            await talk.say(f"{QUESTION} {SECRET}?")
        found = talk.services.traces.find(current, DEFAULT_TENANT)
    by_id = {one.span_id: one for one in found}

    def path(one: Any) -> list[str]:
        parent = by_id.get(one.parent_id or "")
        return [*(path(parent) if parent else []), one.name]

    paths = [path(one) for one in found]
    agent = "invoke_agent soundstage"
    assert paths[0] == [agent]
    assert [agent, "chat scripted", "POST"] in paths
    assert [agent, "execute_tool list_renders"] in paths
    assert [agent, "execute_tool list_renders", "policy decision"] in paths
    chat = next(one for one in found if one.name == "chat scripted")
    assert chat.kind == "client" and chat.attributes["gen_ai.request.model"] == "scripted"
    tokens = [chat.attributes[f"gen_ai.usage.{kind}_tokens"] for kind in ("input", "output")]
    assert tokens == [90, 7]
    assert found[0].attributes["gen_ai.conversation.id"] == talk.session_id
    assert found[0].attributes["soundstage.backend"] == "model"
    assert not any(word in one.to_json() for one in found for word in (SECRET, QUESTION, "There are none"))
