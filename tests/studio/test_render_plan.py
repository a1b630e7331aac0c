"""A plan of a render: what is there already, how long the rest takes, and all that is missing at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from farm.history import RunTimes
from soundstage.database import Database
from studio.renders.schemas import RenderRequest
from studio.wiring import Studio

LOOK = {"canvas": {"width": 320, "height": 180}}


@pytest.fixture
async def studio_rooms(db: Database, new_studio: Callable[..., Studio]) -> AsyncIterator[Studio]:
    created = new_studio(times=RunTimes(db))
    yield created
    await created.dispatcher.close()


async def project_with(client: httpx.AsyncClient, *scenes: dict[str, Any]) -> tuple[str, list[str]]:
    slug = (await client.post("/api/projects", json={"title": "Tides", **LOOK})).json()["slug"]
    added = [await client.post(f"/api/projects/{slug}/scenes", json=scene) for scene in scenes]
    return slug, [one.json()["id"] for one in added]


async def plan_of(client: httpx.AsyncClient, project: str) -> dict[str, Any]:
    answer = await client.post("/api/renders/plan", json={"project": project})
    assert answer.status_code == 200, answer.text
    plan: dict[str, Any] = answer.json()
    return plan


async def test_one_changed_word_leaves_one_scene_to_be_made(client: httpx.AsyncClient, rooms: Studio) -> None:
    project, ids = await project_with(client, {"script": "One."}, {"script": "Two."}, {"script": "Three."})
    before = await plan_of(client, project)
    assert (before["scenes_new"], before["scenes_reused"], before["missing"]) == (3, 0, [])
    view = await rooms.renders.create(RenderRequest(project=project))
    assert (await rooms.renders.wait(view.id)).state == "done"
    after = await plan_of(client, project)
    assert (after["scenes_new"], after["scenes_reused"]) == (0, 3)
    await client.patch(f"/api/projects/{project}/scenes/{ids[1]}", json={"script": "Zwei."})
    changed = await plan_of(client, project)
    assert [one["reused"] for one in changed["scenes"]] == [True, False, True]
    assert changed["scenes"][0]["seconds"] == 0.0
    assert len((await client.get("/api/renders")).json()) == 1, "a plan makes nothing"


async def test_all_that_is_missing_is_named_by_scene(client: httpx.AsyncClient) -> None:
    project, ids = await project_with(
        client,
        {"script": "One."},
        {"script": "", "title": "Scene 1"},
        {"script": "Three.", "persona": "nobody"},
    )
    plan = await plan_of(client, project)
    assert [(one["scene"], one["code"]) for one in plan["missing"]] == [
        (ids[1], "scene.empty"),
        (ids[2], "persona.not_found"),
    ]
    assert all(one["message"] and one["hint"] for one in plan["missing"])
    assert plan["missing"][0]["message"] == "Scene 2 has no words yet."
    empty = (await client.post("/api/projects", json={"title": "Empty"})).json()["slug"]
    assert [one["code"] for one in (await plan_of(client, empty))["missing"]] == ["project.no_scenes"]
    unknown = await client.post("/api/renders/plan", json={"project": "nothing"})
    assert unknown.json()["code"] == "project.not_found"


async def test_overlays_whose_word_is_gone_are_named(client: httpx.AsyncClient) -> None:
    def text(word: str, occurrence: int = 1) -> dict[str, Any]:
        start = {"at": "word", "word": word, "occurrence": occurrence}
        return {"kind": "text", "text": "x", "box": {}, "start": start}

    overlays = [text("moon"), text("Sun"), text("the moon"), text("moon", 2), text("tide")]
    project, _ = await project_with(client, {"script": "The *moon*, the sun.", "overlays": overlays})
    [scene] = (await plan_of(client, project))["scenes"]
    assert scene["unanchored"] == ["moon", "tide"]
