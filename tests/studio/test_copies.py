"""A copy of a project has all that people edited in the first, and nothing that was made of it."""

from __future__ import annotations

from typing import Any

import pytest

from policy import Principal
from soundstage.database.tenants import tenant_scope
from soundstage.errors import Forbidden, NotFound
from studio.projects.schemas import Look, ProjectCopy, ProjectDraft
from studio.retention.service import RetentionRules
from studio.scenes.schemas import SceneBody
from studio.wiring import Studio

pytestmark = pytest.mark.each_database
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(64)
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)) * 8
ADA = Principal("key_ada", "Ada", "editor", "key")
ITS_OWN = ("id", "slug", "title", "revision", "created_at", "updated_at")
OF_A_SCENE = ("id", "project_id", "created_at", "updated_at")


def without(view: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in view.items() if name not in names}


async def file(client: Any, content: bytes, name: str) -> dict[str, str]:
    brought = await client.post(f"/api/assets?name={name}", content=content)
    assert brought.status_code == 201, brought.text
    return {"sha256": brought.json()["sha256"]}


async def whole_project(client: Any) -> tuple[str, dict[str, Any], list[Any]]:
    """Creates a project and a scene with a value in each field, and a second scene; returns path and both."""
    sound, picture = await file(client, WAV, "a.wav"), await file(client, JPEG, "a.jpg")
    music = await file(client, WAV + b"music", "m.wav")
    brand = (await client.post("/api/brands", json={"name": "Harbour"})).json()["id"]
    draft = {
        "title": "Tides", "subtitle": "Of the sea", "description": "A course", "tags": ["sea"],
        "persona": "milo", "canvas": {"width": 720, "height": 1280, "fps": 30}, "seed": 7,
        "output": {"captions": {"mode": "both"}}, "pronunciation": {"Ebb": "eb"}, "brand": brand,
        "music": {"audio": music},
    }  # fmt: skip
    created = await client.post("/api/projects", json=draft)
    assert created.status_code == 201, created.text
    start = {"at": "time", "ms": 0}
    scene = {
        "title": "Ebb", "script": "It goes *out*.", "audio": sound, "persona": "nova", "language": "de",
        "pronunciation": {"Flut": "flut"}, "mood": "warm", "layout": {"shape": "circle"},
        "speakers": [{"persona": "milo", "mood": "sad"}],
        "background": {"kind": "image", "image": picture}, "camera": {"push_in": 0.1},
        "overlays": [{"kind": "text", "text": "Ebb", "box": {"width": 0.5}, "start": start}],
        "transition": {"kind": "wipe"}, "sounds": [{"audio": sound}],
        "lead_in_ms": 100, "tail_ms": 200, "duration_ms": 5000,
    }  # fmt: skip
    path = f"/api/projects/{created.json()['id']}"
    for one in ({"script": "Then it comes in."}, {**scene, "position": 0}):
        added = await client.post(f"{path}/scenes", json=one)
        assert added.status_code == 201, added.text
    return path, (await client.get(path)).json(), (await client.get(f"{path}/scenes")).json()


async def copy_of(client: Any, path: str, **body: Any) -> Any:
    copied = await client.post(f"{path}/copy", json=body)
    assert copied.status_code == 201, copied.text
    return copied.json()


async def test_a_copy_has_every_field_of_the_project_and_its_scenes(client: Any) -> None:
    path, project, scenes = await whole_project(client)
    plain, empty = Look().model_dump(mode="json"), SceneBody().model_dump(mode="json")
    assert [name for name in plain if project[name] == plain[name]] == [], "each field has a value of its own"
    assert [name for name in empty if scenes[0][name] == empty[name]] == []
    copy = await copy_of(client, path)
    assert without(copy, ITS_OWN) == without(project, ITS_OWN)
    assert copy["id"] != project["id"] and (copy["slug"], copy["revision"]) == ("tides-copy", 1)
    copied = (await client.get(f"/api/projects/{copy['id']}/scenes")).json()
    assert [without(one, OF_A_SCENE) for one in copied] == [without(one, OF_A_SCENE) for one in scenes]
    assert not {one["id"] for one in copied} & {one["id"] for one in scenes}
    assert {one["project_id"] for one in copied} == {copy["id"]}
    assert (await client.get(path)).json() == project
    assert (await client.get(f"{path}/scenes")).json() == scenes


async def test_what_changes_in_a_copy_does_not_change_in_the_first(client: Any) -> None:
    path, project, scenes = await whole_project(client)
    copy = f"/api/projects/{(await copy_of(client, path))['id']}"
    first = (await client.get(f"{copy}/scenes")).json()[0]["id"]
    assert (await client.patch(copy, json={"persona": "nova", "tags": []})).status_code == 200
    assert (await client.patch(f"{copy}/scenes/{first}", json={"script": "Other."})).status_code == 200
    assert (await client.get(path)).json() == project
    assert (await client.get(f"{path}/scenes")).json() == scenes


async def test_versions_and_videos_stay_with_the_first(client: Any) -> None:
    path = f"/api/projects/{(await client.post('/api/projects', json={'title': 'Tides'})).json()['id']}"
    await client.post(f"{path}/scenes", json={"script": "hi"})
    await client.post("/api/renders", json={"project": path.rpartition("/")[2]})
    copy = await copy_of(client, path)
    assert len((await client.get(f"{path}/versions")).json()) == 1
    assert (await client.get(f"/api/projects/{copy['id']}/versions")).json() == []
    assert (await client.get(f"/api/renders?project={copy['id']}")).json() == []


async def test_a_copy_holds_its_files_when_the_first_is_gone(client: Any, studio_rooms: Studio) -> None:
    rules = RetentionRules(unused_blob_hours=0)
    path, _, _ = await whole_project(client)
    copy = await copy_of(client, path)
    for asset in (await client.get("/api/assets")).json():
        assert (await client.delete(f"/api/assets/{asset['id']}")).status_code == 204
    await client.delete(f"{path}?forever=true")
    assert (await studio_rooms.retention.plan(rules)).of("blob") == []
    await client.delete(f"/api/projects/{copy['id']}?forever=true")
    assert len((await studio_rooms.retention.plan(rules)).of("blob")) == 3


async def test_copies_are_numbered_where_a_title_is_taken(client: Any) -> None:
    path = f"/api/projects/{(await client.post('/api/projects', json={'title': 'Tides'})).json()['id']}"
    first = await copy_of(client, path)
    again = [(await copy_of(client, path))["title"] for _ in range(2)]
    assert [first["title"], *again] == ["Tides (copy)", "Tides (copy 2)", "Tides (copy 3)"]
    of_a_copy = await copy_of(client, f"/api/projects/{first['id']}")
    assert (of_a_copy["title"], of_a_copy["slug"]) == ("Tides (copy 4)", "tides-copy-4")
    await client.delete(f"/api/projects/{first['id']}")
    assert (await copy_of(client, path))["title"] == "Tides (copy 5)", "one in the trash can come back"
    await client.delete(f"/api/projects/{first['id']}?forever=true")
    assert (await copy_of(client, path))["title"] == "Tides (copy)"


async def test_the_title_of_a_copy_is_as_short_as_any(client: Any) -> None:
    path = f"/api/projects/{(await client.post('/api/projects', json={'title': 'ü' * 200})).json()['id']}"
    title = (await copy_of(client, path))["title"]
    assert title.endswith("ü (copy)") and 180 < len(title) <= 200
    assert (await copy_of(client, path, title="Ebb"))["title"] == "Ebb"
    assert (await copy_of(client, path, title="Ebb"))["slug"] == "ebb-2"
    for bad in ({"title": ""}, {"title": "x" * 201}, {"slug": "other"}):
        assert (await client.post(f"{path}/copy", json=bad)).status_code == 422, bad
    assert (await client.post(f"{path}/copy")).status_code == 201, "no body is needed"


async def test_what_is_not_there_or_in_the_trash_is_not_copied(client: Any) -> None:
    missing = await client.post("/api/projects/nothing/copy", json={})
    assert (missing.status_code, missing.json()["code"]) == (404, "project.not_found")
    path = f"/api/projects/{(await client.post('/api/projects', json={'title': 'Tides'})).json()['id']}"
    await client.delete(path)
    refused = await client.post(f"{path}/copy", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "project.in_trash")
    assert len((await client.get("/api/projects")).json()) == 0


async def test_another_tenant_copies_nothing_and_takes_no_title(studio_rooms: Studio) -> None:
    theirs = await studio_rooms.projects.create(ProjectDraft(title="Tides"))
    await studio_rooms.projects.copy(theirs.id, ProjectCopy(), ADA)
    with tenant_scope("acme"):
        for ref in (theirs.id, theirs.slug):
            with pytest.raises(NotFound):
                await studio_rooms.projects.copy(ref, ProjectCopy(), ADA)
        own = await studio_rooms.projects.create(ProjectDraft(title="Tides"))
        assert (await studio_rooms.projects.copy(own.id, ProjectCopy(), ADA)).title == "Tides (copy)"
        assert len(await studio_rooms.projects.list()) == 2


async def test_who_may_create_projects_without_scenes_copies_none(studio_rooms: Studio) -> None:
    project = await studio_rooms.projects.create(ProjectDraft(title="Tides"))
    limited = Principal("key_b", "Ben", "editor", "key", scopes=("project:read", "project:create"))
    with pytest.raises(Forbidden):
        await studio_rooms.projects.copy(project.id, ProjectCopy(), limited)
    assert len(await studio_rooms.projects.list()) == 1


async def test_other_pages_and_the_audit_log_learn_of_a_copy(
    client: Any, studio_rooms: Studio, audit: Any
) -> None:
    path, project, _ = await whole_project(client)
    copy = await copy_of(client, path)
    events = await studio_rooms.events.read(f"project:{copy['id']}")
    assert [(event.kind, event.data["title"]) for event in events] == [("project.created", "Tides (copy)")]
    [line] = [one for one in await audit.newest(20) if one.kind == "project.copied"]
    assert (line.subject, line.data["copy_of"], bool(line.actor)) == (copy["id"], project["id"], True)
