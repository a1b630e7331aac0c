"""Trash, tags and titles of projects and videos: moved, found, restored, deleted after some days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from avatar.spec import Canvas
from sqlalchemy import update

from soundstage.database import Database, utcnow
from soundstage.database.tenants import tenant_scope
from studio.projects.models import Project
from studio.projects.schemas import ProjectDraft
from studio.renders.models import Render
from studio.renders.schemas import RenderRequest
from studio.retention.service import RetentionRules
from studio.wiring import Studio

pytestmark = pytest.mark.each_database
SMALL = Canvas(width=320, height=180)


async def codes(*answers: Any) -> list[tuple[int, str]]:
    return [(answer.status_code, answer.json().get("code", "")) for answer in answers]


async def ids(client: Any, path: str) -> list[str]:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    assert int(answer.headers["X-Total-Count"]) == len(answer.json())
    return [one["id"] for one in answer.json()]


async def project_of(client: Any, title: str = "Tides", **more: Any) -> Any:
    created = await client.post("/api/projects", json={"title": title, **more})
    assert created.status_code == 201, created.text
    return created.json()


async def video_of(rooms: Studio, script: str = "hello") -> str:
    created = await rooms.renders.create(RenderRequest(script=script, canvas=SMALL))
    return (await rooms.renders.wait(created.id)).id


async def kinds(rooms: Studio, stream: str) -> Sequence[str]:
    return [event.kind for event in await rooms.events.read(stream)]


async def age(db: Database, model: Any, one: str, days: int) -> None:
    async with db.transaction() as session:
        await session.execute(
            update(model).where(model.id == one).values(trashed_at=utcnow() - timedelta(days=days))
        )


async def test_a_project_goes_to_the_trash_and_comes_back_as_it_was(
    client: Any, studio_rooms: Studio
) -> None:
    project = await project_of(client, tags=["sea"])
    path = f"/api/projects/{project['slug']}"
    scene = (await client.post(f"{path}/scenes", json={"script": "hi"})).json()
    assert (await client.delete(path)).status_code == 204
    assert await ids(client, "/api/projects") == []
    assert await ids(client, "/api/projects?trash=true") == [project["id"]]
    seen = (await client.get(path)).json()
    assert seen["trashed_at"] is not None and len((await client.get(f"{path}/scenes")).json()) == 1
    again = await client.delete(path)
    assert again.status_code == 204, "a repeated request deletes nothing"
    assert (await client.get(path)).json()["trashed_at"] == seen["trashed_at"]
    restored = await client.post(f"{path}/restore")
    assert restored.json() == (await client.get(path)).json()
    assert restored.json()["trashed_at"] is None and restored.json()["tags"] == ["sea"]
    assert await ids(client, "/api/projects") == [project["id"]]
    assert (await client.get(f"{path}/scenes")).json()[0] == scene
    assert (await client.post(f"{path}/restore")).json() == restored.json()
    # It was made, got a scene, was thrown away and came back; the second restore did nothing.
    assert await kinds(studio_rooms, f"project:{project['id']}") == [
        "project.created",
        "project.changed",
        "project.trashed",
        "project.restored",
    ]


async def test_what_is_in_the_trash_is_not_changed(client: Any) -> None:
    project = await project_of(client)
    path = f"/api/projects/{project['slug']}"
    scene = f"{path}/scenes/{(await client.post(f'{path}/scenes', json={'script': 'hi'})).json()['id']}"
    await client.delete(path)
    answers = [
        await client.patch(path, json={"title": "x"}),
        await client.post(f"{path}/scenes", json={"script": "x"}),
        await client.patch(scene, json={"script": "x"}),
        await client.delete(scene),
        await client.put(f"{path}/scenes/order", json={"scenes": []}),
        await client.post(f"{path}/versions/1/restore"),
        await client.post("/api/renders", json={"project": project["slug"]}),
        await client.post("/api/renders/plan", json={"project": project["slug"]}),
        await client.post("/api/imports", json={"text": "# One\n\nHi", "project": project["slug"]}),
    ]
    assert set(await codes(*answers)) == {(409, "project.in_trash")}
    taken = await client.post("/api/projects", json={"title": "x", "slug": project["slug"]})
    assert (taken.status_code, taken.json()["code"]) == (409, "project.slug_taken")
    assert "in the trash" in taken.json()["detail"]
    assert (await project_of(client))["slug"] == "tides-2"


async def test_a_project_is_deleted_for_good_from_anywhere(client: Any, studio_rooms: Studio) -> None:
    for trashed in (False, True):
        project = await project_of(client)
        path = f"/api/projects/{project['slug']}"
        if trashed:
            await client.delete(path)
        assert (await client.delete(f"{path}?forever=true")).status_code == 204
        assert (await client.get(path)).status_code == 404
        assert (await kinds(studio_rooms, f"project:{project['id']}"))[-1] == "project.deleted"
    assert await ids(client, "/api/projects?trash=true") == []


async def test_a_video_goes_to_the_trash_with_its_files(client: Any, rooms: Studio, settings: Any) -> None:
    one, other = await video_of(rooms), await video_of(rooms, "another")
    path = f"/api/renders/{one}"
    files = sorted(settings.out_dir.iterdir())
    usage = (await client.get("/api/storage")).json()
    assert (await client.delete(path)).status_code == 204
    assert await ids(client, "/api/renders") == [other]
    assert [view.id for view in await rooms.renders.list()] == [other]
    assert await ids(client, "/api/renders?trash=true") == [one]
    seen = (await client.get(path)).json()
    assert seen["trashed_at"] is not None
    assert (await client.get(f"{path}/files/video")).status_code == 200
    plan = await rooms.retention.apply(RetentionRules(unused_blob_hours=0))
    assert plan.of("blob") == [] and sorted(settings.out_dir.iterdir()) == files
    assert (await client.get("/api/storage")).json() == usage, "it takes its space in the trash"
    refused = [
        await client.patch(path, json={"title": "x"}),
        await client.post(f"{path}/retry"),
    ]
    assert await codes(*refused) == [(409, "render.in_trash")] * 2
    assert (await client.post(f"{path}/restore")).json()["trashed_at"] is None
    assert await ids(client, "/api/renders") == [other, one]
    events = [event for event in await rooms.events.read(f"render:{one}") if event.kind.count("tras")]
    assert [event.kind for event in events] == ["render.trashed"]
    await client.delete(path)
    assert (await client.delete(f"{path}?forever=true")).status_code == 204
    assert (await client.get(path)).status_code == 404
    assert sorted(settings.out_dir.iterdir()) != files


async def test_a_video_that_is_being_made_is_cancelled_first(client: Any, rooms: Studio) -> None:
    running = await rooms.renders.create(RenderRequest(script="!slow 60", canvas=SMALL))
    refused = await client.delete(f"/api/renders/{running.id}")
    assert (refused.status_code, refused.json()["code"]) == (409, "render.active")
    await rooms.renders.cancel(running.id)


async def test_the_trash_is_emptied_after_its_days(client: Any, rooms: Studio, db: Database) -> None:
    videos = [await video_of(rooms, script) for script in ("old", "new", "kept")]
    projects = [(await project_of(client))["id"] for _ in range(2)]
    for path in (
        *(f"/api/renders/{one}" for one in videos[:2]),
        *(f"/api/projects/{one}" for one in projects),
    ):
        assert (await client.delete(path)).status_code == 204
    await age(db, Render, videos[0], 31)
    await age(db, Project, projects[0], 31)
    with tenant_scope("acme"):
        theirs = (await rooms.projects.create(ProjectDraft(title="Theirs"))).id
        await rooms.projects.trash(theirs, by="Ann")
        await age(db, Project, theirs, 31)
    assert await rooms.trash.empty(utcnow()) == 3
    assert await ids(client, "/api/renders?trash=true") == [videos[1]]
    assert await ids(client, "/api/projects?trash=true") == [projects[1]]
    assert await ids(client, "/api/renders") == [videos[2]]
    with tenant_scope("acme"):
        assert (await rooms.events.read(f"project:{theirs}"))[-1].data["by"] == "trash"
    assert await rooms.trash.empty(utcnow()) == 0
    await rooms.projects.delete(projects[1], trashed_before=utcnow() - timedelta(days=30))
    await rooms.renders.delete(videos[1], trashed_before=utcnow() - timedelta(days=30))
    assert await ids(client, "/api/renders?trash=true") == [videos[1]], "younger than that: spared"
    assert await ids(client, "/api/projects?trash=true") == [projects[1]]


async def test_a_video_gets_another_title_and_tags(client: Any, rooms: Studio) -> None:
    one, other = await video_of(rooms), await video_of(rooms, "another")
    path = f"/api/renders/{one}"
    before = (await client.get(path)).json()
    title = "🌊 המים — tides"
    changed = await client.patch(path, json={"title": title, "tags": ["Été", "🌊 sea", "harbour", "harbour"]})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["title"], changed.json()["tags"]) == (title, ["harbour", "été", "🌊 sea"])
    assert [file["name"] for file in changed.json()["outputs"]] == [
        file["name"] for file in before["outputs"]
    ]
    assert changed.json()["spec_hash"] == before["spec_hash"]
    await client.patch(f"/api/renders/{other}", json={"tags": ["sea", "harbour"]})
    assert await ids(client, "/api/renders?tag=🌊 sea") == [one]
    assert await ids(client, "/api/renders?tag=SEA") == [other]
    assert await ids(client, "/api/renders?tag=harbour") == [other, one]
    assert await ids(client, "/api/renders?tag=harbour&tag=été") == [one]
    assert await ids(client, "/api/renders?tag=arbour") == []
    cleared = (await client.patch(path, json={"tags": []})).json()
    assert (cleared["title"], cleared["tags"]) == (title, [])
    events = [event for event in await rooms.events.read(f"render:{one}") if event.kind == "render.changed"]
    assert [event.data["title"] for event in events] == [title, title]


async def test_projects_are_found_by_their_tags(client: Any) -> None:
    one = await project_of(client, tags=["Sea", 'a "quoted" one', "50%"])
    other = await project_of(client, tags=["season"])
    assert one["tags"] == ["50%", 'a "quoted" one', "sea"]
    assert await ids(client, "/api/projects?tag=sea") == [one["id"]]
    assert await ids(client, "/api/projects?tag=5%25") == []
    assert await ids(client, "/api/projects?tag=50%25") == [one["id"]]
    assert await ids(client, '/api/projects?tag=a "quoted" one') == [one["id"]]
    assert await ids(client, "/api/projects?tag=quoted") == []
    changed = await client.patch(f"/api/projects/{other['id']}", json={"tags": ["sea"]})
    assert changed.json()["tags"] == ["sea"]
    assert len(await ids(client, "/api/projects?tag=sea&sort=created")) == 2


@pytest.mark.parametrize(
    "body",
    [
        {"tags": [f"t{number}" for number in range(51)]},
        {"tags": ["x" * 61]},
        {"tags": ["a,b"]},
        {"tags": [" "]},
        {"title": ""},
        {"title": "x" * 201},
        {"state": "done"},
    ],
)
async def test_labels_that_cannot_be_used_are_refused(client: Any, rooms: Studio, body: Any) -> None:
    one = await rooms.renders.create(RenderRequest(script="hello", canvas=SMALL))
    project = await project_of(client)
    answers = [
        await client.patch(f"/api/renders/{one.id}", json=body),
        await client.patch(f"/api/projects/{project['id']}", json=body),
    ]
    assert await codes(*answers) == [(422, "request.invalid")] * 2


async def test_what_another_tenant_has_is_not_there(client: Any, studio_rooms: Studio) -> None:
    with tenant_scope("acme"):
        theirs = (await studio_rooms.projects.create(ProjectDraft(title="Theirs", tags=["sea"]))).id
        video = (await studio_rooms.renders.create(RenderRequest(script="hello", canvas=SMALL))).id
    answers = [
        await client.delete(f"/api/projects/{theirs}"),
        await client.post(f"/api/projects/{theirs}/restore"),
        await client.delete(f"/api/renders/{video}"),
        await client.post(f"/api/renders/{video}/restore"),
        await client.patch(f"/api/renders/{video}", json={"title": "mine"}),
    ]
    assert [answer.status_code for answer in answers] == [404] * 5
    assert await ids(client, "/api/projects?tag=sea") == []
