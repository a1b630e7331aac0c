"""Projects, their scenes and versions, through the REST doors."""

from __future__ import annotations

from typing import Any

import pytest

from studio.retention.service import RetentionRules

pytestmark = pytest.mark.each_database


@pytest.fixture
async def project(client: Any) -> str:
    created = await client.post("/api/projects", json={"title": "Optics for All"})
    assert created.status_code == 201
    return str(created.json()["slug"])


async def scene(client: Any, project: str, script: str, **more: Any) -> str:
    created = await client.post(f"/api/projects/{project}/scenes", json={"script": script, **more})
    assert created.status_code == 201, created.text
    return str(created.json()["id"])


async def scripts(client: Any, project: str) -> list[str]:
    return [one["script"] for one in (await client.get(f"/api/projects/{project}/scenes")).json()]


async def test_health_says_ok_and_nothing_else(client: Any) -> None:
    answer = await client.get("/api/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_a_project_has_the_promised_fields(client: Any) -> None:
    draft = {"title": "Optics: for All!", "subtitle": "Light", "description": "A course"}
    created = (await client.post("/api/projects", json=draft)).json()
    assert created["slug"] == "optics-for-all"
    assert {"slug", "title", "subtitle", "description", "created_at", "updated_at"} <= created.keys()
    [listed] = (await client.get("/api/projects")).json()
    assert listed == {**listed, **created} and listed["scenes_total"] == 0
    assert (await client.get(f"/api/projects/{created['id']}")).json() == created
    again = (await client.post("/api/projects", json=draft)).json()
    assert again["slug"] == "optics-for-all-2"


async def test_a_list_names_who_speaks_in_the_scenes_of_a_project(client: Any, project: str) -> None:
    async def personas() -> list[str]:
        [listed] = (await client.get("/api/projects")).json()
        return list(listed["personas"])

    assert await personas() == ["nova"], "without scenes that of the project"
    guests = [{"persona": "vera"}, {"persona": "milo"}]
    for persona, speakers in (("milo", []), ("zuri", guests), ("milo", [])):
        await scene(client, project, "hi", persona=persona, speakers=speakers)
    assert await personas() == ["milo", "zuri", "vera"]
    await scene(client, project, "hi", position=0)
    await client.patch(f"/api/projects/{project}", json={"persona": "mei"})
    assert await personas() == ["mei", "milo", "zuri", "vera"]


async def test_a_taken_slug_is_refused_and_a_title_without_latin_letters_works(
    client: Any, project: str
) -> None:
    taken = await client.post("/api/projects", json={"title": "X", "slug": project})
    assert (taken.status_code, taken.json()["code"]) == (409, "project.slug_taken")
    arabic = await client.post("/api/projects", json={"title": "الضوء 🌈"})
    assert arabic.json()["slug"] == "project" and arabic.json()["title"] == "الضوء 🌈"
    for bad in (
        {"title": ""},
        {"title": "x" * 201},
        {"title": "X", "slug": "../etc"},
        {"title": "X", "z": 1},
    ):
        assert (await client.post("/api/projects", json=bad)).status_code == 422


async def test_only_what_is_given_changes(client: Any, project: str) -> None:
    change = {"subtitle": "New", "canvas": {"width": 1280, "height": 720, "fps": 30}}
    changed = (await client.patch(f"/api/projects/{project}", json=change)).json()
    assert (changed["title"], changed["subtitle"]) == ("Optics for All", "New")
    assert changed["canvas"]["width"] == 1280 and changed["persona"] == "nova"
    assert changed["updated_at"] > changed["created_at"]


async def test_a_deleted_project_is_gone_with_its_scenes(client: Any, project: str) -> None:
    await scene(client, project, "hi")
    assert (await client.delete(f"/api/projects/{project}?forever=true")).status_code == 204
    for path in ("", "/scenes", "/versions"):
        answer = await client.get(f"/api/projects/{project}{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "project.not_found")


async def test_scenes_are_kept_in_order_when_added_moved_and_deleted(client: Any, project: str) -> None:
    ids = [await scene(client, project, text) for text in ("one", "two", "three")]
    await scene(client, project, "zero", position=0)
    assert await scripts(client, project) == ["zero", "one", "two", "three"]
    await client.patch(f"/api/projects/{project}/scenes/{ids[2]}", json={"position": 1, "title": "Moved"})
    assert await scripts(client, project) == ["zero", "three", "one", "two"]
    await client.delete(f"/api/projects/{project}/scenes/{ids[0]}")
    assert await scripts(client, project) == ["zero", "three", "two"]
    everything = (await client.get(f"/api/projects/{project}/scenes")).json()
    assert [one["position"] for one in everything] == [0, 1, 2]
    order = [one["id"] for one in reversed(everything)]
    await client.put(f"/api/projects/{project}/scenes/order", json={"scenes": order})
    assert await scripts(client, project) == ["two", "three", "zero"]
    short = await client.put(f"/api/projects/{project}/scenes/order", json={"scenes": order[:2]})
    assert (short.status_code, short.json()["code"]) == (422, "scene.order_incomplete")


async def test_a_scene_that_somebody_else_has_changed_is_not_overwritten(client: Any, project: str) -> None:
    one = await scene(client, project, "First.")
    address = f"/api/projects/{project}/scenes/{one}"
    since = {"unchanged_since": (await client.get(address)).json()["updated_at"]}
    first = await client.patch(address, json={"script": "Mine."}, params=since)
    assert first.status_code == 200, first.text
    stale = await client.patch(address, json={"script": "Theirs."}, params=since)
    assert (stale.status_code, stale.json()["code"]) == (409, "scene.changed")
    assert await scripts(client, project) == ["Mine."]
    fresh = {"unchanged_since": first.json()["updated_at"]}
    assert (await client.patch(address, json={"script": "Theirs."}, params=fresh)).status_code == 200
    assert (await client.patch(address, json={"script": "Last."})).status_code == 200


async def test_a_scene_keeps_overlays_anchored_to_words(client: Any, project: str) -> None:
    overlay = {
        "kind": "text",
        "text": "f = 50 mm",
        "box": {"x": 0.1, "y": 0.7, "width": 0.4, "height": 0.1},
        "start": {"at": "word", "word": "lens", "occurrence": 2},
    }
    one = await scene(client, project, "A lens is a lens.", overlays=[overlay])
    stored = (await client.get(f"/api/projects/{project}/scenes/{one}")).json()
    assert (
        stored["overlays"][0]["start"]["word"] == "lens" and stored["overlays"][0]["start"]["occurrence"] == 2
    )
    bad = {"overlays": [{**overlay, "kind": "hologram"}]}
    answer = await client.patch(f"/api/projects/{project}/scenes/{one}", json=bad)
    assert answer.status_code == 422 and "overlays" in answer.json()["detail"]
    none = await client.get(f"/api/projects/{project}/scenes/scn_none")
    assert (none.status_code, none.json()["code"]) == (404, "scene.not_found")


async def test_each_render_keeps_a_version_and_an_unchanged_project_keeps_one(
    client: Any, project: str
) -> None:
    one = await scene(client, project, "first words")
    for _ in range(2):
        view = (await client.post("/api/renders", json={"project": project})).json()
        assert view["project_version"] == 1
    await client.patch(f"/api/projects/{project}/scenes/{one}", json={"script": "other words"})
    assert (await client.post("/api/renders", json={"project": project})).json()["project_version"] == 2
    versions = (await client.get(f"/api/projects/{project}/versions")).json()
    assert [version["number"] for version in versions] == [2, 1]
    first = (await client.get(f"/api/projects/{project}/versions/1")).json()
    assert first["spec"]["scenes"][0]["script"] == "first words"
    none = await client.get(f"/api/projects/{project}/versions/9")
    assert (none.status_code, none.json()["code"]) == (404, "project.version_not_found")
    # More than the database can compare.
    for number in (2**31, 2**63, -(2**64)):
        for answer in (
            await client.get(f"/api/projects/{project}/versions/{number}"),
            await client.post(f"/api/projects/{project}/versions/{number}/restore"),
        ):
            assert answer.status_code == 422, answer.text


async def test_going_back_to_a_version_loses_nothing(client: Any, project: str) -> None:
    one = await scene(client, project, "first words")
    await client.post("/api/renders", json={"project": project})
    await client.patch(f"/api/projects/{project}/scenes/{one}", json={"script": "unsaved words"})
    await scene(client, project, "a new scene")
    await client.patch(f"/api/projects/{project}", json={"title": "Renamed"})
    restored = await client.post(f"/api/projects/{project}/versions/1/restore")
    assert restored.json()["title"] == "Optics for All"
    assert await scripts(client, project) == ["first words"]
    assert (await client.get(f"/api/projects/{project}/scenes")).json()[0]["id"] == one
    await client.post(f"/api/projects/{project}/versions/2/restore")
    assert await scripts(client, project) == ["unsaved words", "a new scene"]
    assert (await client.get(f"/api/projects/{project}")).json()["title"] == "Renamed"


async def test_a_scene_keeps_its_files_until_it_lets_go_of_them(
    client: Any, project: str, blobs: Any, studio_rooms: Any
) -> None:
    rules = RetentionRules(unused_blob_hours=0)
    jpegs = [b"\xff\xd8\xff" + bytes([number]) for number in range(2)]
    pictures = [await blobs.put_bytes(jpeg) for jpeg in jpegs]

    def background(number: int) -> dict[str, Any]:
        return {"background": {"kind": "image", "image": {"sha256": pictures[number].sha256}}}

    one = await scene(client, project, "look")
    path = f"/api/projects/{project}/scenes/{one}"

    async def show(number: int) -> None:
        """Brought, used, and given up as an asset: from then on only the scene keeps it."""
        asset = (await client.post("/api/assets?name=a.jpg", content=jpegs[number])).json()
        assert (await client.patch(path, json=background(number))).status_code == 200
        await client.delete(f"/api/assets/{asset['id']}")

    await show(0)
    assert (await studio_rooms.retention.plan(rules)).of("blob") == [pictures[1].sha256]
    await client.patch(path, json={"title": "other field"})
    await show(1)
    assert (await studio_rooms.retention.plan(rules)).of("blob") == [pictures[0].sha256]
    await show(0)
    await client.post("/api/renders", json={"project": project})
    await show(1)
    assert (await studio_rooms.retention.plan(rules)).items == [], "the version keeps the first picture"
    await client.post(f"/api/projects/{project}/versions/1/restore")
    await client.delete(path)
    assert (await studio_rooms.retention.plan(rules)).items == [], "both versions keep theirs"
    await client.delete(f"/api/projects/{project}")
    assert (await studio_rooms.retention.plan(rules)).items == [], "so do they in the trash"
    await client.delete(f"/api/projects/{project}?forever=true")
    assert (await studio_rooms.retention.plan(rules)).of("blob") == [pictures[1].sha256]
    missing = {"kind": "image", "image": {"sha256": "sha256:" + "0" * 64}}
    other = (await client.post("/api/projects", json={"title": "Other"})).json()["slug"]
    refused = await client.post(f"/api/projects/{other}/scenes", json={"script": "x", "background": missing})
    assert (refused.status_code, refused.json()["code"]) == (404, "media.not_found")


async def test_a_project_that_says_nothing_cannot_be_rendered(client: Any, project: str) -> None:
    empty = await client.post("/api/renders", json={"project": project})
    assert (empty.status_code, empty.json()["code"]) == (422, "project.no_scenes")
    await scene(client, project, "words")
    await scene(client, project, "  ", title="Outro")
    silent = await client.post("/api/renders", json={"project": project})
    assert (silent.status_code, silent.json()["code"]) == (422, "scene.empty")
    assert silent.json()["detail"] == "Scene 2 (Outro) has no words yet."
