"""Why a video waits or has failed is answered with the real reason, and a failed one is tried again."""

from __future__ import annotations

from typing import Any

import pytest
from conversing import Conversing, failure, result
from sentences import SentenceSnapshot
from sqlalchemy import update

from app.composition import Services
from studio.renders.models import Render, RenderSegment, Segment
from studio.renders.schemas import RenderRequest

CARD = {
    "code": "farm.no_card",
    "message": "No machine has a card with 12 GiB",
    "hint": "Add one to the farm.",
}


@pytest.fixture
def talk(services: Services) -> Conversing:
    return Conversing(services)


async def put(services: Services, render_id: str, **values: Any) -> None:
    """What the dispatcher writes down."""
    async with services.database.transaction() as session:
        await session.execute(update(Render).where(Render.id == render_id).values(**values))


async def fail_scene(services: Services, render_id: str, position: int, of: int) -> None:
    async with services.database.transaction() as session:
        for place in range(of):
            failed = place == position
            session.add(
                Segment(
                    key=f"k{place}",
                    state="failed" if failed else "done",
                    attempts=3 if failed else 1,
                    error=CARD if failed else None,
                )
            )
            session.add(
                RenderSegment(
                    render_id=render_id, position=place, scene_id=f"s{place}", segment_key=f"k{place}"
                )
            )
    await put(services, render_id, state="failed", error=CARD)


async def test_nobody_makes_videos_is_a_reason(talk: Conversing, snapshot: SentenceSnapshot) -> None:
    created = result(await talk.say("Have Nova say: one"))["render_id"]
    assert await talk.told("why is it waiting?") == snapshot("no_dispatcher", id=created)


async def test_one_that_has_a_worker_is_told_without_the_word_for_its_state(talk: Conversing) -> None:
    created = result(await talk.say("Have Nova say: one"))["render_id"]
    progress = {"stage": "prepare", "frames_total": 72}
    await put(talk.services, created, state="placed", progress=progress)
    answer = await talk.told("is it done?")
    assert "is waiting for a worker. Frame 0 of 72." in answer
    assert "laced" not in answer


async def test_the_reason_of_the_farm_is_told(talk: Conversing, snapshot: SentenceSnapshot) -> None:
    created = result(await talk.say("Have Nova say: one"))["render_id"]
    reason = "waits: no node has 12 GiB of free GPU memory; node-3 will in about 4 minutes"
    await put(talk.services, created, state="placed", waits=reason)
    reply = await talk.told("What is it waiting for?")
    assert reply == snapshot("no_node", id=created)


async def test_how_far_a_running_one_is(talk: Conversing, snapshot: SentenceSnapshot) -> None:
    created = result(await talk.say("Have Nova say: one"))["render_id"]
    await put(talk.services, created, state="running", progress={"frames_done": 30, "frames_total": 90})
    reply = await talk.told("why is it not done yet?")
    assert reply == snapshot("progress", id=created)


@pytest.mark.parametrize(
    ("seconds", "text", "words"),
    [
        (130.0, "how much longer?", "It takes about 2 minutes more. Frame 30 of 90."),
        (12.0, "when will it be done?", "It takes less than a minute more. Frame 30 of 90."),
        (50.0, "is it done yet?", "It takes about 1 minute more. Frame 30 of 90."),
        (9000.0, "is it done yet?", "It takes about 2 hours more. Frame 30 of 90."),
        (None, "how much longer?", "is being made. Frame 30 of 90."),
        (130.0, "wie lange noch?", "Es dauert noch etwa 2 Minuten. Bild 30 von 90."),
        (50.0, "wie lange dauert es noch?", "Es dauert noch etwa eine Minute. Bild 30 von 90."),
        (12.0, "ist es schon fertig?", "Es dauert noch weniger als eine Minute. Bild 30 von 90."),
    ],
)
async def test_how_much_longer_it_takes(
    talk: Conversing, seconds: float | None, text: str, words: str
) -> None:
    created = result(await talk.say("Have Nova say: one"))["render_id"]
    progress = {"frames_done": 30, "frames_total": 90, "eta_s": seconds}
    await put(talk.services, created, state="running", progress=progress)
    assert (await talk.told(text)).endswith(words)


async def test_which_scene_failed_and_why(talk: Conversing, snapshot: SentenceSnapshot) -> None:
    created = result(await talk.say("Make a two-scene video about tides with Nova: One. Two."))["render_id"]
    await fail_scene(talk.services, created, position=1, of=2)
    reply = await talk.told("Why did it fail?")
    assert reply == snapshot("scene_failed", id=created)


async def test_a_failed_one_is_tried_again_and_waits_anew(talk: Conversing) -> None:
    created = result(await talk.say("Have Nova say: one"))["render_id"]
    await put(talk.services, created, state="failed", error=CARD)
    again = result(await talk.say("Try again"))
    assert (again["render_id"], again["state"]) == (created, "queued")
    assert (await talk.services.studio.renders.get(created)).attempt == 2


async def test_one_that_is_not_over_is_not_tried_again(talk: Conversing) -> None:
    await talk.say("Have Nova say: one")
    assert failure(await talk.say("retry it")).code == "render.not_failed"


async def test_it_is_the_project_when_that_was_spoken_of_last(talk: Conversing) -> None:
    await talk.say("Have Nova say: one")
    await talk.say("Create a project called Tides")
    assert failure(await talk.say("Why is it waiting?")).code == "project.not_filmed"
    # “Cancel it” must not fall back on somebody's video.
    assert failure(await talk.say("Cancel it")).code == "project.not_filmed"
    [render] = await talk.services.studio.renders.list()
    assert render.state == "queued"


async def test_a_preview_of_a_scene_is_not_the_video_of_its_project(talk: Conversing) -> None:
    await talk.say("Create a project called Ferry from this text: The ferry leaves.")
    request = RenderRequest(project="ferry", preview=True)
    preview = await talk.services.studio.renders.create(request)
    await put(talk.services, preview.id, state="done", duration_ms=5100)
    assert "is done" not in await talk.told("is Ferry done?")
    assert (
        await talk.told("list my videos")
        == "There are no videos yet. Say “Make a video where Nova says: Hello”."
    )
