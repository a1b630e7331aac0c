"""Pronunciations of the installation and of a project: kept, corrected, and in the spec that is spoken."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from avatar.spec import RenderSpec, Scene

from studio.wiring import Studio

pytestmark = pytest.mark.each_database


async def change(client: Any, **words: str | None) -> Any:
    return await client.patch("/api/pronunciations", json={"pronunciation": words})


async def words_of(client: Any) -> dict[str, str]:
    answer = await client.get("/api/pronunciations")
    assert answer.status_code == 200
    return {one["word"]: one["spoken"] for one in answer.json()}


async def admit(studio: Studio, script: str, **pronunciation: str) -> RenderSpec:
    spec = RenderSpec(scenes=(Scene(id="s", script=script),), pronunciation=pronunciation)
    async with studio.renders.db.session() as session:
        return await studio.renders.admission.admit(session, spec)


async def test_words_are_set_corrected_and_removed(client: Any) -> None:
    assert await words_of(client) == {}
    answer = await change(client, Xi="shee", Siobhan="/ʃɪˈvɔːn/")
    assert [one["word"] for one in answer.json()] == ["Siobhan", "Xi"]
    assert (await change(client, XI="she", gone=None)).status_code == 200
    assert await words_of(client) == {"Siobhan": "/ʃɪˈvɔːn/", "XI": "she"}
    await change(client, xi=None)
    assert await words_of(client) == {"Siobhan": "/ʃɪˈvɔːn/"}


@pytest.mark.parametrize("words", [{"two words": "x"}, {"": "x"}, {"x": ""}, {"x": "y" * 201}, {"x": 1}])
async def test_what_no_voice_could_use_is_refused(client: Any, words: dict[str, Any]) -> None:
    answer = await client.patch("/api/pronunciations", json={"pronunciation": words})
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    assert await words_of(client) == {}


async def test_no_more_than_a_film_takes(client: Any) -> None:
    many = {f"word{number}": "x" for number in range(2000)}
    assert (await change(client, **many)).status_code == 200
    answer = await change(client, one_more="x")
    assert (answer.status_code, answer.json()["code"]) == (422, "pronunciation.too_many")
    assert "one_more" not in await words_of(client)


async def test_a_spec_takes_those_of_its_scripts_and_the_film_goes_first(client: Any, rooms: Studio) -> None:
    await change(client, Xi="shee", Siobhan="shi vawn", Oaxaca="wa ha ka")
    spec = await admit(rooms, "Xi and Siobhan speak.", siobhan="chevron")
    assert spec.pronunciation == {"siobhan": "chevron", "Xi": "shee"}
    assert spec.scene("s").pronunciation == {"Xi": "shee", "siobhan": "chevron"}


async def test_two_changes_at_once_leave_one_row(client: Any) -> None:
    answers = await asyncio.gather(*(change(client, Xi=spoken) for spoken in ("shee", "she", "zai")))
    assert any(answer.status_code == 200 for answer in answers)
    assert len(await words_of(client)) == 1


async def test_a_project_keeps_its_own_and_its_render_speaks_both(client: Any) -> None:
    draft = {"title": "Names", "pronunciation": {"Xi": "zai"}}
    created = (await client.post("/api/projects", json=draft)).json()
    assert created["pronunciation"] == {"Xi": "zai"}
    path = f"/api/projects/{created['slug']}"
    assert (await client.get(path)).json()["pronunciation"] == {"Xi": "zai"}
    changed = await client.patch(path, json={"pronunciation": {"Xi": "ksee", "Oaxaca": "wa ha ka"}})
    assert changed.json()["pronunciation"] == {"Xi": "ksee", "Oaxaca": "wa ha ka"}
    assert (await client.patch(path, json={"pronunciation": {"Xi": 7}})).status_code == 422
    await change(client, Siobhan="shi vawn", Xi="shee")
    await client.post(f"{path}/scenes", json={"script": "Siobhan meets Xi."})
    assert (await client.post("/api/renders", json={"project": created["slug"]})).status_code == 202
    versions = (await client.get(f"{path}/versions")).json()
    spec = (await client.get(f"{path}/versions/{versions[0]['number']}")).json()["spec"]
    assert spec["pronunciation"] == {"Siobhan": "shi vawn", "Xi": "ksee", "Oaxaca": "wa ha ka"}
