"""The agent copies a project: language models and other agents call it, and it is taken back as a new one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from conversing import Conversing, calls
from scripted_model import Call, Say, scripted_model
from sentences import SentenceSnapshot

from agent.answering.calls import record_of, undo_of, with_ids
from agent.answering.translation import Translation
from agent.tools import ToolContext
from agent.tools.toolset import prepare_call
from agent.understanding.dialogue import CallRecord, Dialogue
from app.composition import Services, open_services
from policy import Principal
from soundstage.errors import Forbidden, NotFound
from soundstage.settings import Settings
from studio.projects.schemas import ProjectDraft
from studio.scenes.schemas import SceneDraft

ADA = Principal.local_admin("Ada")
ELSEWHERE = replace(ADA, tenant="acme")
VIEWER = Principal("key_vic", "Vic", "viewer", "session")


async def tides(services: Services) -> str:
    """Creates a project of two scenes, and returns its id."""
    project = await services.studio.projects.create(ProjectDraft(title="Tides"))
    for script in ("It comes in.", "It goes out."):
        await services.studio.scenes.create(project.id, SceneDraft(script=script))
    return project.id


async def run_copy(services: Services, who: Principal = ADA, dry: bool = False, **arguments: Any) -> Any:
    call = prepare_call(services.brain.toolset, "edit_project", {"action": "copy", **arguments})
    return await services.brain.toolset.run(
        ToolContext(who, "ses_1", services.tool_services, dry_run=dry), call
    )


async def test_a_copy_has_the_scenes_and_says_what_it_is_called(
    services: Services, snapshot: SentenceSnapshot
) -> None:
    original = await tides(services)
    output = await run_copy(services, project="Tides")
    assert output.sentence() == snapshot("copied")
    assert output.project_id != original
    copied = await services.studio.scenes.list(output.project_id)
    assert [scene.script for scene in copied] == ["It comes in.", "It goes out."]
    german = Translation.of("de").text(output.sentence()).splitlines()[0]
    assert german == "Das Projekt „Tides (copy)“ ist eine Kopie von „Tides“."


async def test_a_title_that_another_project_has_is_mentioned(services: Services) -> None:
    await tides(services)
    output = await run_copy(services, project="Tides", title="Tides")
    assert output.done == (
        "The project “Tides” is a copy of “Tides”. Another project is called so, too; this one is tides-2."
    )


async def test_the_plan_makes_no_project(services: Services, snapshot: SentenceSnapshot) -> None:
    project = await tides(services)
    plan = await run_copy(services, dry=True, project="Tides")
    assert plan.sentence() == snapshot("plan", project=project)
    titled = await run_copy(services, dry=True, project="Tides", title="Ebb")
    assert titled.sentence() == snapshot("plan_with_title", project=project)
    assert len(await services.studio.projects.list()) == 1


async def test_a_viewer_and_another_tenant_copy_nothing(services: Services) -> None:
    project = await tides(services)
    for who, refusal in ((VIEWER, Forbidden), (ELSEWHERE, NotFound)):
        with pytest.raises(refusal):
            await run_copy(services, who, project=project)
    assert len(await services.studio.projects.list()) == 1


async def test_a_language_model_copies_a_project(settings: Settings) -> None:
    copying = Call("edit_project", {"action": "copy", "project": "Tides"})
    async with scripted_model(copying, Say("Done.")) as model:
        llm = type(settings.llm).model_validate({"local": {"base_url": model.base_url, "model": "scripted"}})
        async with open_services(settings.model_copy(update={"llm": llm})) as services:
            await tides(services)
            talk = Conversing(services)
            events = await talk.say("would it be wise to have a duplicate of a project such as Tides, hm")
            titles = {one.title for one in await services.studio.projects.list()}
    assert calls(events) == ["edit_project"]
    assert titles == {"Tides", "Tides (copy)"}


async def test_taking_it_back_deletes_the_copy_and_not_the_first(services: Services) -> None:
    original = await tides(services)
    arguments = {"action": "copy", "project": "Tides"}
    call = prepare_call(services.brain.toolset, "edit_project", arguments)
    output = await services.brain.toolset.run(ToolContext(ADA, "ses_1", services.tool_services), call)
    [back] = undo_of(with_ids(record_of(call), output.model_dump()))
    assert back.intent == "edit_project.delete"
    assert back.arguments["project"] not in (original, "Tides")
    assert (await services.studio.projects.get(back.arguments["project"])).title == "Tides (copy)"


def test_what_is_said_next_is_about_the_copy() -> None:
    talk = Dialogue().after_calls([CallRecord("edit_project.copy", {"project": "Tides"})])
    assert talk.last["project"] == "latest"
    talk = Dialogue(shown={"project": ("Tides",)}).after_calls(
        [CallRecord("edit_project.copy", {"project": "Tides", "title": "Ebb"})]
    )
    assert (talk.last["project"], talk.shown) == ("Ebb", {})
