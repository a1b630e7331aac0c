"""The words of a persona are changed by a sentence, and those of the operator's personas are not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from brain_answers import answer
from conversing import Conversing, failure, result
from own_persona import photographed
from scripted_model import Call, Say, scripted_model
from sentences import SentenceSnapshot

from agent.events import ConfirmationRequested
from agent.tools import ToolContext
from agent.tools.toolset import prepare_call
from app.composition import Services, open_services
from policy import Principal
from soundstage.errors import Conflict, Forbidden, Invalid, NotFound
from soundstage.settings import Settings

ADA = Principal("local:ada", "Ada", "operator", "local")
VIEWER = Principal("key_vic", "Vic", "viewer", "session")
ELSEWHERE = replace(ADA, tenant="acme")


@pytest.fixture
def talk(services: Services) -> Conversing:
    return Conversing(services, ADA)


async def test_a_persona_gets_another_name_title_and_description(talk: Conversing) -> None:
    await photographed(talk.services)
    changed = result(await talk.say("Rename the persona Grace to Grace Brewster"))
    assert changed["persona_id"] == "grace" and changed["name"] == "Grace Brewster"
    await talk.say("Change the title of the persona Grace Brewster to Rear admiral")
    await talk.say("Change the description of the persona Grace Brewster to “Explains compilers.”")
    persona = talk.services.studio.library.get("grace")
    assert (persona.name, persona.title) == ("Grace Brewster", "Rear admiral")
    assert persona.description == "Explains compilers."


async def test_the_plan_tells_the_old_words_and_changes_none(
    talk: Conversing, snapshot: SentenceSnapshot
) -> None:
    await photographed(talk.services)
    before = talk.services.studio.library.get("grace")
    toolset = talk.services.brain.toolset
    arguments = {"action": "change", "persona": "grace", "title": "Rear admiral", "name": before.name}
    context = ToolContext(ADA, "ses_1", talk.services.tool_services, dry_run=True)
    reply = (await toolset.run(context, prepare_call(toolset, "create_persona", arguments))).sentence()
    assert reply == snapshot("new_title")
    assert talk.services.studio.library.get("grace") == before


async def test_the_operators_personas_keep_their_words(talk: Conversing) -> None:
    refused = failure(await talk.say("Rename the persona Nova to Stella"))
    assert refused.code == "persona.shipped"
    toolset = talk.services.brain.toolset
    arguments = {"action": "change", "persona": "nova", "title": "x"}
    context = ToolContext(ADA, "ses_1", talk.services.tool_services, dry_run=True)
    with pytest.raises(Conflict, match="operator's"):
        await toolset.run(context, prepare_call(toolset, "create_persona", arguments))
    assert talk.services.studio.library.get("nova").name == "Nova"


async def test_a_viewer_and_another_tenant_change_no_words(talk: Conversing) -> None:
    await photographed(talk.services)
    toolset = talk.services.brain.toolset
    call = prepare_call(toolset, "create_persona", {"action": "change", "persona": "grace", "title": "x"})
    for who, refusal in ((VIEWER, Forbidden), (ELSEWHERE, NotFound)):
        with pytest.raises(refusal):
            await toolset.run(ToolContext(who, "ses_1", talk.services.tool_services), call)
    assert talk.services.studio.library.get("grace").title == ""


async def test_of_two_with_one_name_neither_is_guessed_and_an_id_stays_an_id(talk: Conversing) -> None:
    await photographed(talk.services)
    await talk.say("Rename the persona Grace to Nova")
    assert result(await talk.say("Make a video where Nova says: Hello"))["persona"] == "nova"
    library = talk.services.studio.library
    library.save(library.get("grace").model_copy(update={"id": "hopper", "name": "Admiral"}))
    await talk.say("Rename the persona grace to Admiral")
    refused = failure(await talk.say("Make a video where Admiral says: Hello"))
    assert refused.code == "persona.several" and "grace, hopper" in refused.hint
    assert result(await talk.say("Make a video where grace says: Hello"))["persona"] == "grace"


@pytest.mark.parametrize(("persona", "asked"), [("nova", False), ("grace", True), (None, False)])
async def test_what_destroys_words_is_confirmed_where_the_persona_has_words_of_others(
    settings: Settings, persona: str | None, asked: bool
) -> None:
    """The same sentence and model: only the description of one that people have made may hold an order."""
    expected = {"action": "change", "persona": "grace", "title": "Prince of Lagos"}
    async with scripted_model(Call("create_persona", expected), Say("Done.")) as model:
        llm = type(settings.llm).model_validate({"local": {"base_url": model.base_url, "model": "scripted"}})
        async with open_services(settings.model_copy(update={"llm": llm})) as services:
            await photographed(services)
            held = await services.brain.sessions.open(ADA, persona_id=persona)
            events = await answer(services.brain, held, "would it be wise to rename a persona like that, hm")
            title = services.studio.library.get("grace").title
    assert any(isinstance(event, ConfirmationRequested) for event in events) == asked, events
    assert title == ("" if asked else "Prince of Lagos")


async def test_a_call_says_what_changes(talk: Conversing) -> None:
    with pytest.raises(Invalid, match="what changes"):
        prepare_call(talk.services.brain.toolset, "create_persona", {"action": "change", "persona": "nova"})
