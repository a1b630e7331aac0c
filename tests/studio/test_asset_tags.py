"""Assets are found by tags, and tell which projects, renders and personas use them."""

from __future__ import annotations

from typing import Any

import pytest

from policy import Principal
from soundstage.database.tenants import tenant_scope
from studio.assets.schemas import AssetLabels
from studio.references.repository import References

pytestmark = pytest.mark.each_database

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(64)


async def upload(client: Any, content: bytes = PNG, **fields: str) -> dict[str, Any]:
    answer = await client.post("/api/assets", params={"name": "p", **fields}, content=content)
    assert answer.status_code == 201, answer.text
    find: dict[str, Any] = answer.json()
    return find


async def test_tags_are_given_changed_counted_and_filter_the_list(client: Any) -> None:
    sea = await upload(client, PNG + b"1", tags="Sea,  Blue  water ,sea")
    assert sea["tags"] == ["blue water", "sea"]
    form = await client.post("/api/assets", files={"file": PNG + b"2"}, data={"tags": "sea,logo"})
    logo = form.json()
    await upload(client, PNG + b"3")

    async def find(query: str) -> list[str]:
        answer = await client.get(f"/api/assets?{query}")
        assert answer.headers["X-Total-Count"] == str(len(answer.json())), answer.text
        return [one["id"] for one in answer.json()]

    assert await find("tag=sea") == [logo["id"], sea["id"]]
    assert await find("tag=SEA&tag=blue+water") == [sea["id"]]
    assert await find("tag=se") == await find("tag=%25") == []
    changed = await client.patch(f"/api/assets/{sea['id']}", json={"tags": ["sea", "beach"]})
    assert changed.json()["tags"] == ["beach", "sea"] and await find("tag=blue+water") == []
    renamed = await client.patch(f"/api/assets/{sea['id']}", json={"name": "n"})
    assert renamed.json()["tags"] == ["beach", "sea"], "what is not named stays"
    counted = (await client.get("/api/assets/tags")).json()
    assert counted == [
        {"tag": "beach", "assets": 1}, {"tag": "logo", "assets": 1}, {"tag": "sea", "assets": 2},
    ]  # fmt: skip
    await client.delete(f"/api/assets/{sea['id']}")
    assert [one["tag"] for one in (await client.get("/api/assets/tags")).json()] == ["logo", "sea"]
    page = await client.get("/api/assets?tag=sea&limit=1")
    assert "next" not in page.links


async def test_tags_that_cannot_be_are_refused(client: Any) -> None:
    asset = await upload(client)
    for tags in (["a,b"], [""], ["x" * 61], [f"t{number}" for number in range(51)], [3]):
        answer = await client.patch(f"/api/assets/{asset['id']}", json={"tags": tags})
        assert answer.status_code == 422, tags
    half = b'{"tags": ["\\ud800a\\u0000"]}'
    sent = await client.patch(
        f"/api/assets/{asset['id']}", content=half, headers={"content-type": "application/json"}
    )
    assert sent.status_code == 422
    assert (await client.get("/api/assets", params={"tag": "x" * 61})).status_code == 422
    assert (await client.get(f"/api/assets/{asset['id']}")).json()["tags"] == []


async def test_it_tells_which_projects_renders_and_personas_use_it(client: Any, rooms: Any, db: Any) -> None:
    asset = await upload(client)
    at = f"/api/assets/{asset['id']}/used-in"
    assert (await client.get(at)).json() == {
        "projects": [], "renders": [], "renders_total": 0, "personas": [], "brands": [],
    }  # fmt: skip
    project = (await client.post("/api/projects", json={"title": "Tides"})).json()
    background = {"kind": "image", "image": {"sha256": asset["sha256"]}}
    scene = await client.post(
        f"/api/projects/{project['slug']}/scenes", json={"script": "Hi", "background": background}
    )
    assert scene.status_code == 201, scene.text
    requests = await client.post(
        "/api/renders", json={"script": "Hi", "background": background, "title": "Sea"}
    )
    assert requests.status_code == 202, requests.text
    created = await rooms.renders.wait(requests.json()["id"])
    async with db.transaction() as session:
        await References(session).hold("persona:ada", "image", asset["sha256"], 1)
    uses = (await client.get(at)).json()
    assert uses["projects"] == [
        {
            "id": project["id"],
            "slug": "tides",
            "title": "Tides",
            "scenes": [scene.json()["id"]],
            "versions": 0,
        }
    ]
    assert [(one["id"], one["title"]) for one in uses["renders"]] == [(created.id, "Sea")]
    assert uses["renders_total"] == 1 and uses["personas"] == ["ada"]
    film = await client.post("/api/assets", json={"sha256": created.output("video").sha256})
    of_film = (await client.get(f"/api/assets/{film.json()['id']}/used-in")).json()
    assert of_film["renders"] == [], "who has made it does not use it"


async def test_uses_that_the_asker_may_not_read_are_not_told(studio_rooms: Any, client: Any) -> None:
    asset = await upload(client)
    requester = Principal(
        id="key_x", name="x", role="admin", kind="key", scopes=("asset:read", "persona:read")
    )
    uses = await studio_rooms.assets.uses(asset["id"], requester)
    assert (uses.projects, uses.renders, uses.renders_total, uses.personas) == (None, None, None, [])


async def test_tags_and_uses_of_another_tenant_are_not_there(studio_rooms: Any, client: Any, db: Any) -> None:
    async def chunks() -> Any:
        yield PNG

    with tenant_scope("acme"):
        view = await studio_rooms.assets.upload(chunks(), AssetLabels(tags=["secret"]))
    assert (await client.get("/api/assets/tags")).json() == []
    assert (await client.get("/api/assets?tag=secret")).json() == []
    assert (await client.get(f"/api/assets/{view.id}/used-in")).json()["code"] == "asset.not_found"
    own = await upload(client)
    with tenant_scope("acme"):
        async with db.transaction() as session:
            await References(session).hold("persona:theirs", "image", own["sha256"], 1)
    assert (await client.get(f"/api/assets/{own['id']}/used-in")).json()["personas"] == []
