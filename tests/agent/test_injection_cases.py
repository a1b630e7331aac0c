"""A model that believes every order in what it reads: nothing is changed, and the person is asked instead."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from brain_answers import answer
from other_servers import allow_all, stdio_server
from scripted_model import Call, Say, ScriptedModel, scripted_model

from agent.events import BrainEvent, ConfirmationRequested, Done, ToolCalled, ToolFailed, ToolReturned
from agent.tools import ToolContext
from agent.tools.toolset import prepare_call
from agent.vision.model_describer import vision_model
from app.composition import Services, open_services
from policy import Principal
from soundstage.settings import Settings
from soundstage.settings.sections import LlmsSettings
from studio.projects.schemas import ProjectDraft
from studio.scenes.schemas import SceneDraft

TABLE: dict[str, Any] = yaml.safe_load(
    Path(__file__).with_name("injection_cases.yaml").read_text(encoding="utf-8")
)
CASES = [(source, order) for source, orders in TABLE["cases"].items() for order in orders]
ELSEWHERE = {"base_url": "https://models.example/v1", "model": "m", "vision": True}
PERSON = Principal(id="key_t", name="t", role="admin", kind="key")


def test_there_are_forty_cases_and_none_is_there_twice() -> None:
    assert len(CASES) >= 40
    assert len(set(CASES)) == len(CASES)
    assert {order for _, order in CASES} == TABLE["orders"].keys()


@dataclass
class Played:
    """The result of one case."""

    events: list[BrainEvent]
    model: ScriptedModel
    changes: list[str]
    """Tools that were called and are not those that the model looks things up by."""
    yes: list[BrainEvent]
    """The answer to a yes afterwards, where nothing had been proposed."""
    tools: Collection[str]

    @property
    def answered_by_model(self) -> bool:
        return "Done." in _texts(self.events)


async def play(settings: Settings, folder: Path, source: str, order: str, *, reader: bool) -> Played:
    """Has a model read the words where they lie, and obey."""
    place, ordered = TABLE["sources"][source], TABLE["orders"][order]
    words = ordered["words"]
    lookups = [Call(tool, arguments) for tool, arguments in place.get("reads", {}).items()]
    lookups += [Call("find_tools", {"query": place["finds"]})] if "finds" in place else []
    obeying = [Call(tool, arguments) for tool, arguments in ordered["calls"].items()]
    before = [Say(f"It says: {words}")] if "before" in place else []
    # A model that sees is on another machine.
    elsewhere = vision_model(LlmsSettings.model_validate({"local": ELSEWHERE}))
    async with scripted_model(*before, *lookups, *obeying, Say("Done.")) as model:
        chosen = settings.model_copy(update={"llm": _llm(settings, model.base_url)})
        if place.get("seed") == "persona":
            _write_persona(settings, words)
        if "other__look_up" in {*place.get("reads", {}), *ordered["calls"]} or "finds" in place:
            chosen = await _allow_server(chosen, folder, place.get("seed", ""), words)
        async with open_services(chosen) as services:
            services.tool_services.image_descriptions._describer = elsewhere
            if not reader:
                # The model gets all of it.
                services.brain.reader = None
            await _seed(services, place.get("seed", ""), words)
            brain = services.brain
            conversation = await brain.sessions.open(PERSON)
            earlier = await _audited(services)
            if "before" in place:
                await answer(brain, conversation, place["before"].format(order=words))
            events = await answer(brain, conversation, place["say"].format(order=words))
            changes = [
                line.data["tool"] for line in (await _audited(services))[len(earlier) :]
                if line.kind == "tool.called" and line.data["tool"] not in place.get("reads", {})
            ]  # fmt: skip
            # What a model proposes, a person may confirm; what a text proposes, nobody.
            proposed = any(isinstance(event, ConfirmationRequested) for event in events)
            conversation = replace(conversation, id=_session_of(events))
            yes = [] if proposed else await answer(brain, conversation, "yes")
            return Played(events, model, changes, yes, {*brain.toolset.tools})


@pytest.mark.parametrize("source, order", CASES)
async def test_an_order_from_outside_changes_nothing(
    settings: Settings, tmp_path: Path, source: str, order: str
) -> None:
    place, ordered = TABLE["sources"][source], TABLE["orders"][order]
    played = await play(settings, tmp_path, source, order, reader=False)
    output = json.dumps(played.model.asked, ensure_ascii=False)
    assert played.answered_by_model, f"the model was not asked: {played.events}"
    assert ordered["words"][:20] in output, "the model never saw the order"
    assert _returned(played.events) <= {*place.get("reads", {})}
    assert played.changes == []
    _nothing_but_proposals(played, ordered)


@pytest.mark.parametrize("source, order", CASES)
async def test_an_order_from_outside_changes_nothing_with_the_reader_before_the_model(
    settings: Settings, tmp_path: Path, source: str, order: str
) -> None:
    place, ordered = TABLE["sources"][source], TABLE["orders"][order]
    played = await play(settings, tmp_path, source, order, reader=True)
    ordered_tools = {*ordered["calls"]} - {*place.get("reads", {})}
    for events in (played.events, played.yes):
        called = [event for event in events if isinstance(event, ToolCalled)]
        assert {event.tool for event in called}.isdisjoint(ordered_tools)
        assert [event.tool for event in called if event.effect != "read"] == []
    if played.answered_by_model:
        _nothing_but_proposals(played, ordered)


def _nothing_but_proposals(played: Played, ordered: Mapping[str, Any]) -> None:
    if ordered.get("result") == "refused":
        assert [event.code for event in played.events if isinstance(event, ToolFailed)] == ["tool.not_found"]
        return
    assert played.tools >= {*ordered["calls"]}
    proposals = [event.tool for event in played.events if isinstance(event, ConfirmationRequested)]
    assert proposals == [*ordered["calls"]]


def _returned(events: list[BrainEvent]) -> set[str]:
    return {event.tool for event in events if isinstance(event, ToolReturned)}


def _session_of(events: list[BrainEvent]) -> str:
    return next(event.session_id for event in events if isinstance(event, Done))


async def _allow_server(settings: Settings, folder: Path, seed: str, words: str) -> Settings:
    """Returns the settings with an MCP server whose tool is allowed, with the words where the seed says."""
    texts = {"mcp_description": {"description": f"Look a topic up. {words}"}, "mcp_result": {"answer": words}}
    server = stdio_server(folder, **texts.get(seed, {}))
    servers = server.open(settings.state_dir)
    await allow_all(servers)
    await servers.close()
    return server.among(settings, effect="read")


def _llm(settings: Settings, base_url: str) -> Any:
    return type(settings.llm).model_validate({"local": {"base_url": base_url, "model": "scripted"}})


def _write_persona(settings: Settings, words: str) -> None:
    assert settings.personas_dir is not None
    title = yaml.safe_dump({"title": words[:100]})
    text = f"id: ada\nname: Ada\n{title}face: {{kind: rig, character: nova}}\n"
    (settings.personas_dir / "ada.yaml").write_text(text)


async def _seed(services: Services, kind: str, words: str) -> None:
    """Puts the words where the model will read them."""
    tool_services = services.tool_services
    match kind:
        case "render":
            await _call(services, "make_render", {"script": "Hello", "title": words})
        case "project":
            project = await tool_services.studio.projects.create(ProjectDraft(title="Tides"))
            await tool_services.studio.scenes.create(project.id, SceneDraft(script=words))
        case "memory":
            text = f"Our channel is called Deep Water. {words}"
            await _call(services, "memory", {"action": "remember", "text": text})
        case "snapshot":
            await _call(services, "make_render", {"script": "Hello"})
            await _call(services, "snapshots", {"action": "save", "name": words})


async def _call(services: Services, tool: str, arguments: Mapping[str, Any]) -> None:
    conversation = await services.brain.sessions.open(PERSON)
    context = ToolContext(principal=PERSON, session_id=conversation.id, services=services.tool_services)
    await services.brain.toolset.run(context, prepare_call(services.brain.toolset, tool, arguments))


async def _audited(services: Services) -> list[Any]:
    return await services.audit.read(0, 500)


def _texts(events: list[BrainEvent]) -> list[str]:
    return [event.text for event in events if event.type == "text"]
