"""Another version of a video that is there: its words, with another presenter or look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from avatar.spec import RenderSpec
from conversing import Conversing, result

from agent.tools import ToolContext
from agent.tools.toolset import prepare_call
from app.composition import Services
from policy import Principal
from soundstage.errors import Conflict, Invalid, NotFound
from soundstage.settings import Settings

PERSONAS = Path(__file__).parents[2] / "personas"
WORDS = "The tour starts at the gate."
TOUR = {"script": WORDS, "persona": "vera", "shape": "vertical", "quality": "720p", "background": "white"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state", out_dir=tmp_path / "out", personas_dir=PERSONAS)


async def _make(services: Services, **arguments: Any) -> str:
    toolset = services.brain.toolset
    context = ToolContext(Principal.local_admin(), "ses_1", services.tool_services)
    created = await toolset.run(context, prepare_call(toolset, "make_render", arguments))
    return str(created.model_dump()["render_id"])


async def _version(services: Services, render_id: str) -> tuple[str, str | None, tuple[int, int], Any]:
    """Returns the presenter, words, size and background of a video of one scene."""
    video = await services.studio.renders.detail(render_id)
    assert isinstance(video.spec, RenderSpec)
    (scene,) = video.spec.scenes
    canvas = video.spec.canvas
    return video.personas[0], scene.script, (canvas.width, canvas.height), scene.background


async def test_what_is_not_given_is_as_in_the_other_video(services: Services) -> None:
    tour = await _make(services, **TOUR, title="Tour")
    await _make(services, script="Something else.")
    _, words, size, background = await _version(services, tour)
    assert size == (720, 1280)
    by_milo = await _make(services, video=tour[-8:], persona="milo")
    assert await _version(services, by_milo) == ("milo", words, size, background)
    square = await _make(services, video=tour, shape="square", title="Tour, square")
    assert await _version(services, square) == ("vera", words, (720, 720), background)
    titles = [one.title for one in await services.studio.renders.list()]
    assert titles[:2] == ["Tour, square", "Tour"]


async def test_a_video_of_several_scenes_or_of_none_is_refused(services: Services) -> None:
    talk = Conversing(services)
    film = result(await talk.say("Make a two-scene video about tides with Nova: Tides come. Tides go."))
    with pytest.raises(Conflict) as several:
        await _make(services, video=film["render_id"], persona="milo")
    assert several.value.code == "render.no_single_script"
    with pytest.raises(NotFound):
        await _make(services, video="No such video", persona="milo")
    with pytest.raises(Invalid):
        await _make(services, video=film["render_id"], script="Both.")


@pytest.mark.parametrize(
    "sentence", ["another version of the tour with Milo, please", "Die Tour nochmal, aber mit Milo"]
)
async def test_a_sentence_asks_and_a_yes_makes_it(services: Services, sentence: str) -> None:
    tour = await _make(services, **TOUR, title="Tour")
    await _make(services, script="Something else.")
    talk = Conversing(services)
    await talk.say(sentence)
    created = str(result(await talk.say("yes"))["render_id"])
    before, after = await _version(services, tour), await _version(services, created)
    assert (after[0], after[1:]) == ("milo", before[1:])
