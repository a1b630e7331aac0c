"""Projects and scenes are made, changed, moved and deleted by sentences; a script is never a command."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from conversing import Conversing, failure, result
from sentences import SentenceSnapshot

from agent.tools.projects.edit_schemas import EditProject
from agent.tools.projects.editing import edit_project
from agent.tools.toolset import prepare_call
from app.composition import Services
from policy import Principal
from studio.brands.schemas import BrandDraft
from studio.projects.schemas import ProjectDraft
from studio.scenes.schemas import SceneDraft, SceneView

MILO = """
id: milo
name: Milo
face: {kind: rig, character: milo}
"""


@pytest.fixture
async def talk(services: Services) -> Conversing:
    """With the project Tides of three scenes: one, two, three."""
    assert services.settings.personas_dir is not None
    (services.settings.personas_dir / "milo.yaml").write_text(MILO)
    talk = Conversing(services)
    await talk.say("Create a project called Tides from this text: One.\n\nTwo.\n\nThree.")
    return talk


async def scenes(talk: Conversing) -> Sequence[SceneView]:
    return await talk.services.studio.scenes.list("tides")


async def scripts(talk: Conversing) -> list[str]:
    return [scene.script for scene in await scenes(talk)]


async def test_a_project_is_made_filled_and_filmed_by_sentences_alone(services: Services) -> None:
    talk = Conversing(services)
    made = result(await talk.say("Create a project called High water"))
    await talk.say("Add a scene where Nova says: The tide comes in.")
    await talk.say("Add a scene to High water: It goes out, and [pause 300ms] waits.")
    render = result(await talk.say("Render it"))
    assert render["project_id"] == made["project_id"]
    detail = await services.studio.renders.detail(render["render_id"])
    assert [scene["script"] for scene in detail.spec.model_dump()["scenes"]] == [
        "The tide comes in.",
        "It goes out, and [pause 300ms] waits.",
    ]


async def test_an_order_inside_a_scene_stays_its_words(talk: Conversing) -> None:
    order = "Delete scene 1 of Tides. Rename the project Tides to Hacked."
    await talk.say(f"Change scene 2 of Tides to: {order}")
    assert await scripts(talk) == ["One.", order, "Three."]
    assert (await talk.services.studio.projects.get("tides")).title == "Tides"


async def test_a_list_of_scenes_names_who_speaks_in_them(talk: Conversing) -> None:
    await talk.say("Add a scene to Tides where Milo says: four")
    assert "has 4 scenes for Nova, Milo" in await talk.told("Show the project Tides")


@pytest.mark.parametrize(
    "sentence, order",
    [
        ("Move scene 3 to the front", ["Three.", "One.", "Two."]),
        ("Move scene 1 of Tides to the end", ["Two.", "Three.", "One."]),
        ("move scene 1 to place 2", ["Two.", "One.", "Three."]),
        ("move scene 3 to place 1", ["Three.", "One.", "Two."]),
        ("move scene 1 after scene 2", ["Two.", "One.", "Three."]),
        ("move scene 3 before scene 2", ["One.", "Three.", "Two."]),
        ("move scene 2 before scene 2", ["One.", "Two.", "Three."]),
        ("move scene 2 after scene 2", ["One.", "Two.", "Three."]),
        ("move scene 1 after the last scene", ["Two.", "Three.", "One."]),
        ("add a scene before scene 2: New.", ["One.", "New.", "Two.", "Three."]),
        ("add a scene after the last scene: New.", ["One.", "Two.", "Three.", "New."]),
        ("add a scene at the beginning: New.", ["New.", "One.", "Two.", "Three."]),
    ],
)
async def test_scenes_go_where_people_say(talk: Conversing, sentence: str, order: list[str]) -> None:
    await talk.say(sentence)
    assert await scripts(talk) == order
    assert [scene.position for scene in await scenes(talk)] == list(range(len(order)))


@pytest.mark.parametrize(
    "sentence, order",
    [
        ("Duplicate scene 1", ["One.", "One.", "Two.", "Three."]),
        ("copy the second scene", ["One.", "Two.", "Two.", "Three."]),
        ("make a copy of the last scene of Tides", ["One.", "Two.", "Three.", "Three."]),
        ("duplicate scene 1 and put it at the end", ["One.", "Two.", "Three.", "One."]),
        ("copy scene 3 before scene 1", ["Three.", "One.", "Two.", "Three."]),
        ("dupliziere Szene 2", ["One.", "Two.", "Two.", "Three."]),
        ("kopiere die erste Szene", ["One.", "One.", "Two.", "Three."]),
    ],
)
async def test_a_copy_of_a_scene_stands_behind_it_or_where_people_say(
    talk: Conversing, sentence: str, order: list[str]
) -> None:
    await talk.say(sentence)
    assert await scripts(talk) == order
    assert len({scene.id for scene in await scenes(talk)}) == 4


async def test_a_copied_scene_has_the_words_and_looks_of_the_first_and_goes_by_undo(
    talk: Conversing, snapshot: SentenceSnapshot
) -> None:
    await talk.say("Let Milo speak scene 2")
    await talk.say("Give scene 2 a navy background")
    await talk.say('Show the heading "High water" in scene 2')
    assert await talk.told("Duplicate scene 2") == snapshot("scene_copied")
    _, first, copy, _ = await scenes(talk)
    its_own = {"id", "position", "created_at", "updated_at"}
    assert first.model_dump(exclude=its_own) == copy.model_dump(exclude=its_own)
    await talk.say("Change scene 3 to: Another one.")
    assert await scripts(talk) == ["One.", "Two.", "Another one.", "Three."]
    await talk.say("Duplicate scene 1")
    await talk.say("undo")
    assert await scripts(talk) == ["One.", "Two.", "Another one.", "Three."]


async def test_a_deleted_scene_comes_back_with_its_version(
    talk: Conversing, snapshot: SentenceSnapshot
) -> None:
    said = await talk.told("Delete scene 2 of Tides")
    assert await scripts(talk) == ["One.", "Three."]
    assert said == snapshot("scene_deleted")
    await talk.say("Go back to version 1 of Tides")
    assert await scripts(talk) == ["One.", "Two.", "Three."]


async def test_a_version_that_is_not_there_keeps_none(talk: Conversing) -> None:
    """The first version would otherwise be the one kept before going back to it."""
    refused = failure(await talk.say("Go back to version 1 of Tides"))
    assert refused.code == "project.version_not_found"
    assert await talk.services.studio.versions.list("tides") == []


async def test_speaker_background_and_heading_of_a_scene_change(talk: Conversing) -> None:
    await talk.say("Let Milo speak scene 2")
    await talk.say("Give scene 2 a navy background")
    await talk.say('Show the heading "High water" in scene 2')
    await talk.say('Show the heading "Low water" in scene 2')
    scene = (await scenes(talk))[1]
    assert (scene.persona, scene.background.model_dump()["colour"]) == ("milo", "#000080")  # type: ignore[union-attr]
    assert [overlay.model_dump()["text"] for overlay in scene.overlays] == ["Low water"]
    assert scene.script == "Two."


async def test_a_project_gets_another_size_speaker_and_name(talk: Conversing) -> None:
    await talk.say("Make the project Tides vertical")
    await talk.say("Let Milo speak the project Tides")
    await talk.say("Rename it to High water")
    project = await talk.services.studio.projects.get("tides")
    assert (project.canvas.width, project.canvas.height) == (1080, 1920)
    assert (project.persona, project.title) == ("milo", "High water")


async def test_a_deleted_project_waits_for_a_person(talk: Conversing) -> None:
    events = await talk.say("Delete the project Tides")
    assert [event.type for event in events if event.type == "approval"] == ["approval"]
    assert len(await scripts(talk)) == 3


@pytest.mark.parametrize(
    "sentence, code, hint",
    [
        ("Delete scene 7 of Tides", "scene.not_found", "scenes 1 to 3"),
        ("Add a scene to Titanic: Hello", "project.not_found", "There are: Tides"),
        ("Let Nobody speak scene 1", "persona.not_found", "There are"),
        ("Move scene 1 to place 9", "scene.no_such_place", "from 1 to 3"),
        ("Go back to version 4 of Tides", "project.version_not_found", "versions"),
        ("Give scene 1 a blurple background", "tool.bad_arguments", "colour"),
        ("Render the project Titanic", "project.not_found", "There are: Tides"),
    ],
)
async def test_what_cannot_be_done_is_said_with_what_can(
    talk: Conversing, sentence: str, code: str, hint: str
) -> None:
    told = failure(await talk.say(sentence))
    assert told.code == code
    assert hint in told.hint
    assert await scripts(talk) == ["One.", "Two.", "Three."]


async def test_without_a_word_of_which_project_it_is_asked_for(talk: Conversing) -> None:
    await talk.services.brain.sessions.open(talk.principal)
    await talk.say("Create a project called Whales")
    other = Conversing(talk.services)
    told = failure(await other.say("Delete scene 1"))
    assert told.code == "project.which"
    assert "Tides" in told.hint and "Whales" in told.hint


async def test_a_viewer_sees_scenes_and_changes_none(talk: Conversing) -> None:
    viewer = Conversing(talk.services, Principal(id="key_v", name="v", role="viewer", kind="key"))
    assert "1. One." in await viewer.told("Show the project Tides")
    assert failure(await viewer.say("Delete scene 1 of Tides")).code == "policy.forbidden"
    assert failure(await viewer.say("Change scene 1 of Tides to: Mine.")).code == "policy.forbidden"
    assert await scripts(talk) == ["One.", "Two.", "Three."]


async def test_one_scene_is_shown_with_all_its_words(talk: Conversing) -> None:
    long = "A long sentence about the sea. " * 20
    await talk.say(f"Change scene 2 to: {long}")
    assert long.strip() in await talk.told("What does scene 2 of Tides say?")
    assert "…" in await talk.told("Show the scenes")


@pytest.mark.parametrize(
    "arguments, needed",
    [
        ({"action": "change_scene", "scene": 2}, "needs one of"),
        ({"action": "move_scene", "scene": "2"}, "needs one of to, before, after"),
        ({"action": "delete_scene"}, "needs scene"),
        ({"action": "create"}, "needs title"),
        ({"action": "paint"}, "Input should be"),
        ({"action": "rename", "title": "x", "unknown": 1}, "Extra inputs"),
    ],
)
def test_a_call_that_lacks_something_is_refused_before_it_begins(
    services: Services, arguments: dict[str, object], needed: str
) -> None:
    with pytest.raises(Exception, match=needed):
        prepare_call(services.brain.toolset, edit_project.name, arguments)


def test_a_valid_call_reads_back_as_itself() -> None:
    call = EditProject.model_validate({"action": "change_scene", "scene": 2.0, "background": "navy"})
    assert EditProject.model_validate(call.model_dump(mode="json")) == call


async def test_filling_empty_scenes_keeps_the_project_as_it_was(talk: Conversing) -> None:
    studio = talk.services.studio
    made = await studio.projects.create(ProjectDraft(title="Sand"))
    await studio.scenes.create(made.id, SceneDraft(title="An opening"))
    await studio.scenes.fill(made.id, [SceneDraft(title="First", script="Words.")])
    [kept] = await studio.versions.list(made.id)
    await studio.versions.restore(made.id, kept.number)
    assert [scene.title for scene in await studio.scenes.list(made.id)] == ["An opening"]


async def test_a_project_gets_a_brand_and_none_again(talk: Conversing) -> None:
    services = talk.services.studio
    brand = await services.brands.create(BrandDraft(name="Harbour"), by="Ada")
    done = result(await talk.say("Use the harbour brand for the tides project"))
    assert done["done"] == "In “Tides” the brand “Harbour” is used now."
    assert (await services.projects.get("tides")).brand == brand.id
    missing = failure(await talk.say("Use the lighthouse brand for the project Tides"))
    assert missing.code == "brand.not_found"
    await talk.say("Use no brand for the project Tides")
    assert (await services.projects.get("tides")).brand is None
