"""Batches of changes: all or none, on the revision that was read, once per key, with one event."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from policy import Principal
from soundstage.database.tenants import tenant_scope
from soundstage.errors import Forbidden
from studio.changes.schemas import ChangeBatch
from studio.projects.schemas import ProjectDraft
from studio.retention.service import RetentionRules
from studio.wiring import Studio

pytestmark = pytest.mark.each_database
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)) * 8
NEW = "scn_" + "0123456789abcdefghjkmnpqrs"
KEY = {"Idempotency-Key": "batch-1"}


@pytest.fixture
async def project(client: Any) -> str:
    """With the scenes one, two, three; at revision 4."""
    created = await client.post("/api/projects", json={"title": "Tides"})
    path = f"/api/projects/{created.json()['slug']}"
    for script in ("one", "two", "three"):
        await client.post(f"{path}/scenes", json={"script": script})
    return path


async def ids(client: Any, project: str) -> list[str]:
    return [scene["id"] for scene in (await client.get(f"{project}/scenes")).json()]


async def scripts(client: Any, project: str) -> list[str]:
    return [scene["script"] for scene in (await client.get(f"{project}/scenes")).json()]


async def send(client: Any, project: str, base: int, *changes: Any, **more: Any) -> Any:
    body = {"base_revision": base, "changes": list(changes)}
    return await client.post(f"{project}/changes", json=body, **more)


async def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_a_batch_is_one_revision_and_one_event(client: Any, project: str, studio_rooms: Studio) -> None:
    one, two, three = await ids(client, project)
    answer = await send(
        client,
        project,
        4,
        {"op": "add_scene", "id": NEW, "scene": {"script": "🌊 new", "position": 0}},
        {"op": "change_scene", "id": NEW, "scene": {"title": "مد"}},
        {"op": "move_scene", "id": three, "position": 1},
        {"op": "delete_scene", "id": one},
        {"op": "change_scene", "id": two, "scene": {"script": "two again"}},
        {"op": "change_project", "project": {"title": "High water", "tags": ["sea"]}},
    )
    assert answer.status_code == 200, answer.text
    state = answer.json()
    assert [scene["id"] for scene in state["scenes"]] == [NEW, three, two]
    assert [scene["position"] for scene in state["scenes"]] == [0, 1, 2]
    assert (state["scenes"][0]["script"], state["scenes"][0]["title"]) == ("🌊 new", "مد")
    assert state["scenes"][2]["script"] == "two again"
    project_now = (await client.get(project)).json()
    assert state["project"] == project_now
    assert (project_now["revision"], project_now["title"], project_now["tags"]) == (5, "High water", ["sea"])
    assert state["scenes"] == (await client.get(f"{project}/scenes")).json()
    events = await studio_rooms.events.read(f"project:{project_now['id']}")
    assert [(event.kind, event.data["revision"]) for event in events] == [
        ("project.created", 1),
        *(("project.changed", revision) for revision in (2, 3, 4, 5)),
    ]


async def test_a_stale_batch_is_refused_with_the_present_state(client: Any, project: str) -> None:
    one, *_ = await ids(client, project)
    await client.patch(f"{project}/scenes/{one}", json={"script": "theirs"})
    stale = await send(client, project, 4, {"op": "change_scene", "id": one, "scene": {"script": "mine"}})
    assert await code(stale) == (409, "project.changed")
    assert stale.headers["content-type"].startswith("application/problem+json")
    problem = stale.json()
    assert problem["hint"] and problem["current"]["project"] == (await client.get(project)).json()
    assert problem["current"]["scenes"] == (await client.get(f"{project}/scenes")).json()
    assert problem["current"]["scenes"][0]["script"] == "theirs"
    base = problem["current"]["project"]["revision"]
    again = await send(client, project, base, {"op": "change_scene", "id": one, "scene": {"script": "mine"}})
    assert again.status_code == 200 and await scripts(client, project) == ["mine", "two", "three"]
    ahead = await send(client, project, 99, {"op": "delete_scene", "id": one})
    assert await code(ahead) == (409, "project.changed")


async def test_every_change_of_a_project_counts(client: Any, project: str) -> None:
    one, two, three = await ids(client, project)

    async def revision() -> int:
        return int((await client.get(project)).json()["revision"])

    calls = [
        client.patch(project, json={"subtitle": "x"}),
        client.patch(f"{project}/scenes/{one}", json={"title": "x"}),
        client.put(f"{project}/scenes/order", json={"scenes": [three, one, two]}),
        client.delete(f"{project}/scenes/{two}"),
        client.post(f"{project}/scenes", json={"script": "x"}),
        client.post("/api/imports", json={"text": "# One\n\nHi", "project": project.rpartition("/")[2]}),
    ]
    for expected, call in enumerate(calls, start=5):
        answer = await call
        assert answer.status_code < 300, answer.text
        assert await revision() == expected
    await client.post("/api/renders", json={"project": project.rpartition("/")[2]})
    assert await revision() == 10, "a render changes nothing"
    assert (await client.post(f"{project}/versions/1/restore")).json()["revision"] == 11


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"op": "change_scene", "id": "scn_none", "scene": {}}, (404, "scene.not_found")),
        ({"op": "delete_scene", "id": "scn_none"}, (404, "scene.not_found")),
        ({"op": "move_scene", "id": "scn_none", "position": 0}, (404, "scene.not_found")),
        ({"op": "change_project", "project": {"brand": "none"}}, (404, "brand.not_found")),
        ({"op": "change_project", "project": {"slug": "taken"}}, (409, "project.slug_taken")),
    ],
)
async def test_one_bad_change_undoes_the_others(
    client: Any, project: str, change: Any, refused: Any, studio_rooms: Studio
) -> None:
    await client.post("/api/projects", json={"title": "Taken"})
    one, *_ = await ids(client, project)
    before = (await client.get(project)).json()
    answer = await send(client, project, 4, {"op": "delete_scene", "id": one}, change)
    assert await code(answer) == refused
    assert answer.json()["detail"].startswith("changes[1]: ")
    assert (await client.get(project)).json() == before
    assert await scripts(client, project) == ["one", "two", "three"]
    assert len(await studio_rooms.events.read(f"project:{before['id']}")) == 4


@pytest.mark.parametrize(
    "body",
    [
        {"base_revision": 4, "changes": []},
        {"base_revision": 4, "changes": [{"op": "burn_scene", "id": "x"}]},
        {"base_revision": 4, "changes": [{"op": "add_scene", "id": "mine", "scene": {}}]},
        {"base_revision": 4, "changes": [{"op": "move_scene", "id": "x", "position": -1}]},
        {"base_revision": 4, "changes": [{"op": "delete_scene", "id": "x"}] * 501},
        {"changes": [{"op": "delete_scene", "id": "x"}]},
    ],
)
async def test_a_batch_that_cannot_be_read_is_refused(client: Any, project: str, body: Any) -> None:
    assert await code(await client.post(f"{project}/changes", json=body)) == (422, "request.invalid")


async def test_a_repeated_batch_is_carried_out_once(client: Any, project: str) -> None:
    add = {"op": "add_scene", "scene": {"script": "four"}}
    first = await send(client, project, 4, add, headers=KEY)
    again = await send(client, project, 4, add, headers=KEY)
    assert first.status_code == again.status_code == 200
    assert again.json() == first.json() and await scripts(client, project) == ["one", "two", "three", "four"]
    other = await send(client, project, 5, add, headers=KEY)
    assert await code(other) == (422, "idempotency.key_reused")
    created = (await client.post("/api/projects", json={"title": "Other"})).json()["slug"]
    elsewhere = await send(client, f"/api/projects/{created}", 1, add, headers=KEY)
    assert await code(elsewhere) == (422, "idempotency.key_reused"), "the key was for another project"
    stale = await send(client, project, 4, add, headers={"Idempotency-Key": "batch-2"})
    assert await code(stale) == (409, "project.changed")
    fresh = await send(client, project, 5, add, headers={"Idempotency-Key": "batch-2"})
    assert fresh.status_code == 200, "a refused batch leaves its key free"


async def test_of_two_batches_at_once_one_wins(client: Any, project: str) -> None:
    adds = [{"op": "add_scene", "scene": {"script": str(number)}} for number in range(4)]
    answers = await asyncio.gather(*(send(client, project, 4, add) for add in adds))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert len(await ids(client, project)) == 4


async def test_a_deleted_scene_comes_back_under_its_id_with_its_files(
    client: Any, project: str, studio_rooms: Studio
) -> None:
    asset = (await client.post("/api/assets?name=a.jpg", content=JPEG)).json()
    image = {"background": {"kind": "image", "image": {"sha256": asset["sha256"]}}}
    one, *_ = await ids(client, project)
    shown = await send(client, project, 4, {"op": "change_scene", "id": one, "scene": image})
    scene = shown.json()["scenes"][0]
    await client.delete(f"/api/assets/{asset['id']}")
    former = {key: scene[key] for key in ("script", "background", "position")}
    answer = await send(
        client,
        project,
        5,
        {"op": "delete_scene", "id": one},
        {"op": "add_scene", "id": one, "scene": former},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["scenes"][0]["background"] == scene["background"]
    assert await ids(client, project) == [scene["id"] for scene in shown.json()["scenes"]]
    assert (await studio_rooms.retention.plan(RetentionRules(unused_blob_hours=0))).of("blob") == []
    taken = await send(client, project, 6, {"op": "add_scene", "id": one, "scene": {}})
    assert await code(taken) == (409, "scene.id_taken")
    lost = {"background": {"kind": "image", "image": {"sha256": "sha256:" + "0" * 64}}}
    missing = await send(client, project, 6, {"op": "change_scene", "id": one, "scene": lost})
    assert await code(missing) == (404, "media.not_found") and "changes[0]" in missing.json()["detail"]


async def test_each_change_needs_its_own_permission(client: Any, project: str, studio_rooms: Studio) -> None:
    one, *_ = await ids(client, project)
    writer = Principal("key_w", "Writer", "editor", "key", scopes=("project:update", "scene:update"))
    ref = project.rpartition("/")[2]
    batch = ChangeBatch.model_validate(
        {"base_revision": 4, "changes": [{"op": "change_scene", "id": one, "scene": {"script": "x"}}]}
    )
    assert (await studio_rooms.changes.apply(ref, batch, writer)).project.revision == 5
    for change in ({"op": "delete_scene", "id": one}, {"op": "add_scene", "scene": {}}):
        batch = ChangeBatch.model_validate({"base_revision": 5, "changes": [change]})
        with pytest.raises(Forbidden):
            await studio_rooms.changes.apply(ref, batch, writer)
    assert len(await ids(client, project)) == 3


async def test_projects_and_scenes_of_others_and_in_the_trash_are_not_changed(
    client: Any, project: str, studio_rooms: Studio
) -> None:
    with tenant_scope("acme"):
        theirs = (await studio_rooms.projects.create(ProjectDraft(title="Theirs"))).id
    change = {"op": "change_project", "project": {"title": "mine"}}
    assert await code(await send(client, f"/api/projects/{theirs}", 1, change)) == (404, "project.not_found")
    created = (await client.post("/api/projects", json={"title": "Other"})).json()["slug"]
    one, *_ = await ids(client, project)
    foreign = await send(client, f"/api/projects/{created}", 1, {"op": "delete_scene", "id": one})
    assert await code(foreign) == (404, "scene.not_found")
    await client.delete(project)
    assert await code(await send(client, project, 4, change)) == (409, "project.in_trash")
