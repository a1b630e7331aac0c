"""The words of a persona are changed by a sentence, and those of the operator's personas are not."""

from __future__ import annotations

import pytest
from conversing import Conversing, failure, result
from own_persona import photographed

from agent.tools import ToolContext
from agent.tools.toolset import prepare_call
from app.composition import Services
from policy import Principal
from soundstage.errors import Conflict, Invalid

ADA = Principal("local:ada", "Ada", "operator", "local")


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
    assert persona.description.rstrip(".") == "Explains compilers"


async def test_the_plan_tells_the_old_words_and_changes_none(talk: Conversing) -> None:
    await photographed(talk.services)
    before = talk.services.studio.library.get("grace")
    toolset = talk.services.brain.toolset
    arguments = {"action": "change", "persona": "grace", "title": "Rear admiral", "name": before.name}
    context = ToolContext(ADA, "ses_1", talk.services.doors, dry_run=True)
    told = (await toolset.run(context, prepare_call(toolset, "create_persona", arguments))).sentence()
    assert "“Rear admiral” from" in told and "Change the name" not in told
    assert talk.services.studio.library.get("grace") == before


async def test_the_operators_personas_keep_their_words(talk: Conversing) -> None:
    refused = failure(await talk.say("Rename the persona Nova to Stella"))
    assert refused.code == "persona.shipped"
    toolset = talk.services.brain.toolset
    arguments = {"action": "change", "persona": "nova", "title": "x"}
    context = ToolContext(ADA, "ses_1", talk.services.doors, dry_run=True)
    with pytest.raises(Conflict, match="operator's"):
        await toolset.run(context, prepare_call(toolset, "create_persona", arguments))
    assert talk.services.studio.library.get("nova").name == "Nova"


async def test_a_call_says_what_changes(talk: Conversing) -> None:
    with pytest.raises(Invalid, match="what changes"):
        prepare_call(talk.services.brain.toolset, "create_persona", {"action": "change", "persona": "nova"})
