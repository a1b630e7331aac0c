"""Lists page by a cursor that keeps its place, count what matches, take words as they are, and are small."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from soundstage.database import new_id
from soundstage.database.tenants import tenant_scope
from studio.assets.models import Asset
from studio.projects.models import Project
from studio.renders.models import Render, RenderOutput
from studio.renders.schemas import RenderRequest
from studio.scenes.models import SceneRow

pytestmark = pytest.mark.each_database

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def render_id(number: int) -> str:
    """Ids sort by the time of their making."""
    return f"rnd_{number:026d}"


def render_row(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": render_id(number),
        "tenant": "default",
        "kind": "video",
        "state": "done",
        "title": f"Video {number}",
        "spec": {},
        "spec_hash": "sha256:0",
        "personas": ["nova"],
        "created_at": BEGIN + timedelta(seconds=number),
        **more,
    }


async def add(db: Any, table: Any, rows: list[dict[str, Any]]) -> None:
    async with db.transaction() as session:
        await session.execute(insert(table), rows)


async def pages(client: Any, url: str) -> Any:
    """Every page, by the links alone."""
    while True:
        answer = await client.get(url)
        assert answer.status_code == 200, answer.text
        yield answer
        if "next" not in answer.links:
            return
        url = answer.links["next"]["url"]


async def test_ten_thousand_rows_come_once_each_while_others_are_added_in_front(client: Any, db: Any) -> None:
    count, limit = 10_000, 500
    for start in range(0, count, 1000):
        await add(db, Render, [render_row(number) for number in range(start, start + 1000)])
    seen: list[str] = []
    number = count
    async for answer in pages(client, f"/api/renders?limit={limit}"):
        seen += [one["id"] for one in answer.json()]
        assert int(answer.headers["X-Total-Count"]) == number
        await add(db, Render, [render_row(number), render_row(number + 1)])
        number += 2
    assert seen == [render_id(one) for one in reversed(range(count))]


@pytest.mark.parametrize("sort", ["created", "title", "-title", "duration", "-duration"])
async def test_rows_with_the_same_sort_key_come_once_each_whatever_the_order(
    client: Any, db: Any, sort: str
) -> None:
    rows = [
        render_row(number, title=["b", "A", "c"][number % 3], duration_ms=[None, 5, 5][number % 3])
        for number in range(60)
    ]
    await add(db, Render, rows)
    find = []
    async for answer in pages(client, f"/api/renders?limit=7&sort={sort}"):
        find += answer.json()
        # New rows at every place of every order: none hides or repeats one that was there.
        number = 100 + len(find)
        await add(db, Render, [render_row(number, title="later", state="queued")])
    seen = [one["id"] for one in find if one["state"] == "done"]
    assert len(seen) == 60 and set(seen) == {row["id"] for row in rows}
    if "title" in sort:
        titles = [one["title"] for one in find if one["state"] == "done"]
        assert titles == sorted(titles, key=str.lower, reverse=sort.startswith("-"))


async def test_renders_are_found_by_words_state_kind_persona_and_project(client: Any, db: Any) -> None:
    await add(db, Project, [{"id": "prj_1", "tenant": "default", "slug": "tides", "title": "Tides"}])
    await add(
        db,
        Render,
        [
            render_row(1, title="100% of the tides", project_id="prj_1"),
            render_row(2, title="100 of the TIDES", state="failed", kind="preview"),
            render_row(3, title="Über_Wasser", personas=["milo", "nova"]),
            render_row(4, title="UberXWasser", state="running", personas=["milou"]),
        ],
    )

    async def find(query: str) -> list[int]:
        answer = await client.get(f"/api/renders?{query}")
        assert answer.headers["X-Total-Count"] == str(len(answer.json()))
        return [int(one["id"][4:]) for one in answer.json()]

    assert await find("q=tides+of") == [2, 1]
    assert await find("q=100%25") == [1]
    assert await find("q=r_w") == [3]
    assert await find("q=%C3%BCber") == [3]
    assert await find("q=/") == await find("q=%5C") == await find("q=nothing%00") == []
    assert await find("state=failed&state=running") == [4, 2]
    assert await find("kind=video&kind=lipsync") == [4, 3, 1]
    assert await find("persona=milo") == [3]
    assert await find("project=tides") == [1]
    assert (await client.get("/api/renders?q=" + "a+" * 9)).json()["code"] == "page.too_many_words"


async def test_a_listed_project_has_the_number_of_its_scenes_and_its_latest_video(
    client: Any, db: Any
) -> None:
    names = ("filmed", "empty")
    await add(
        db,
        Project,
        [{"id": one, "tenant": "default", "slug": one, "title": one, "look": {}} for one in names],
    )
    scenes = [
        {"id": f"scn_{number}", "tenant": "default", "project_id": "filmed", "position": number, "body": {}}
        for number in range(3)
    ]
    await add(db, SceneRow, scenes)
    of = {"project_id": "filmed", "duration_ms": 4000}
    later = [
        render_row(3, **of, kind="preview"),
        render_row(4, **of, state="failed"),
        render_row(5, **of, trashed_at=BEGIN),
    ]
    await add(db, Render, [render_row(1, **of) | {"duration_ms": 1000}, render_row(2, **of)])
    for one in later:
        await add(db, Render, [one])
    poster = {"role": "poster", "sha256": "sha256:" + "ab" * 32, "media_type": "image/png", "bytes": 1}
    await add(db, RenderOutput, [{"render_id": render_id(2), "tenant": "default", "name": "p.png", **poster}])
    found = {one["id"]: one for one in (await client.get("/api/projects")).json()}
    one = found["filmed"]
    assert (one["scenes_total"], one["duration_ms"]) == (3, 4000)
    assert one["picture"] == f"/api/renders/{render_id(2)}/thumbnail?v=abababababab"
    assert datetime.fromisoformat(one["video_at"]) == BEGIN + timedelta(seconds=2)
    assert (found["empty"]["scenes_total"], found["empty"]["picture"]) == (0, None)


async def test_projects_assets_and_publications_are_paged_and_searched_in_the_same_way(
    client: Any, db: Any
) -> None:
    projects = [
        {"id": f"prj_{number:02}", "tenant": "default", "slug": f"p{number}", "title": f"Tides {number}",
         "look": {"persona": "milo" if number % 2 else "nova"}, "updated_at": BEGIN}
        for number in range(12)
    ]  # fmt: skip
    await add(db, Project, projects)
    assets = [
        {"id": f"ast_{number:02}", "tenant": "default", "kind": "image" if number % 2 else "audio",
         "name": f"Wave_{number}", "sha256": "sha256:0", "bytes": number, "media_type": "image/png"}
        for number in range(12)
    ]  # fmt: skip
    await add(db, Asset, assets)
    for path, total in (("projects", 12), ("assets", 12)):
        seen = []
        async for answer in pages(client, f"/api/{path}?limit=5"):
            assert answer.headers["X-Total-Count"] == str(total)
            seen += [one["id"] for one in answer.json()]
        assert seen == sorted(seen, reverse=True) and len(seen) == total
    assert len((await client.get("/api/projects?q=tides+1&persona=milo")).json()) == 2
    assert [one["id"] for one in (await client.get("/api/assets?q=e_1&sort=bytes")).json()] == [
        "ast_01", "ast_10", "ast_11",
    ]  # fmt: skip
    assert len((await client.get("/api/assets?kind=image&kind=video")).json()) == 6
    answer = await client.get("/api/publications?q=x&state=published&limit=2")
    assert answer.json() == [] and answer.headers["X-Total-Count"] == "0"


def forge(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def open_cursor(cursor: str) -> list[Any]:
    return json.loads(base64.urlsafe_b64decode(cursor + "=="))


async def test_a_cursor_that_is_broken_or_of_another_question_is_refused(client: Any, db: Any) -> None:
    await add(db, Render, [render_row(number) for number in range(5)])
    link = (await client.get("/api/renders?limit=2&sort=duration")).links["next"]["url"]
    cursor = link.partition("cursor=")[2].partition("&")[0]
    digest, _, row_id = open_cursor(cursor)
    bad = ["x", "%20", "AAAA", "e30", cursor[:-3], "9" * 1999, forge(), forge(1, 2)]
    bad += [forge("no", 5, row_id), forge(digest, "5", row_id), forge(digest, True, row_id)]
    bad += [forge(digest, 2**80, row_id), forge(digest, 5, None), forge(digest, 5, "\0")]
    bad += [forge(digest, 5, "\ud800"), base64.urlsafe_b64encode(b"[" * 1400).decode()]
    for one in bad:
        answer = await client.get(f"/api/renders?limit=2&sort=duration&cursor={one}")
        assert (answer.status_code, answer.json()["code"]) == (422, "page.bad_cursor"), one
    for other in ("/api/renders?sort=-duration", "/api/renders?sort=duration&state=done", "/api/projects?"):
        answer = await client.get(f"{other}&cursor={cursor}")
        assert answer.json()["code"] == "page.bad_cursor", other
    updated = (await client.get("/api/projects?sort=updated&limit=1")).json()
    assert updated == []
    assert (await client.get(f"/api/renders?sort=duration&limit=2&cursor={cursor}")).status_code == 200


async def test_no_page_no_total_and_no_forged_cursor_shows_rows_of_another_tenant(
    studio_rooms: Any, client: Any, db: Any
) -> None:
    await add(db, Render, [render_row(number, tenant="acme") for number in range(0, 20, 2)])
    await add(db, Render, [render_row(number) for number in range(1, 20, 2)])
    answer = await client.get("/api/renders?limit=3&sort=-title")
    assert answer.headers["X-Total-Count"] == "10"
    digest, title, _ = open_cursor(answer.links["next"]["url"].partition("cursor=")[2].partition("&")[0])
    for place in ("zzz", title, ""):
        find = await client.get(f"/api/renders?sort=-title&cursor={forge(digest, place, 'rnd_z')}")
        assert all(int(one["id"][4:]) % 2 for one in find.json()), place
    with tenant_scope("acme"):
        from soundstage.paging import PageRequest
        from studio.renders.listing import RenderFilter

        page = await studio_rooms.render_list.find_page(RenderFilter(), PageRequest(100))
        assert page.total == 10 and all(int(one.id[4:]) % 2 == 0 for one in page.items)


async def test_a_list_of_sixty_finished_videos_is_small_and_the_detail_has_the_rest(
    client: Any, db: Any
) -> None:
    ids = [new_id("rnd") for _ in range(60)]
    long = {
        "scenes_done": 9,
        "engines": [{"scene": f"scene-{n}", "engine": "rig", "mode": ""} for n in range(9)],
    }
    await add(db, Render, [{**render_row(0), "id": one, "progress": long} for one in ids])
    roles = ("video", "vtt", "srt", "poster", "provenance")
    outputs = [
        {"render_id": one, "role": role, "tenant": "default", "name": f"a-long-title-of-a-video-{one}.{role}",
         "sha256": "sha256:" + "7" * 64, "bytes": 12345678, "media_type": "application/octet-stream"}
        for one in ids for role in roles
    ]  # fmt: skip
    await add(db, RenderOutput, outputs)
    answer = await client.get("/api/renders?limit=60")
    assert len(answer.json()) == 60 and len(answer.content) < 45_000
    first = answer.json()[0]
    assert first["files"] == sorted(roles) and "outputs" not in first and "spec" not in first
    assert first["picture"] == f"/api/renders/{first['id']}/thumbnail?v=777777777777"


async def test_a_failed_video_says_in_which_scene_and_what_may_help(
    rooms: Any, render_to_end: Any, client: Any, db: Any
) -> None:
    project = (await client.post("/api/projects", json={"title": "Tides"})).json()
    for title, script in (("Start", "hello"), ("The moon", "!fail"), ("", "bye")):
        await client.post(f"/api/projects/{project['id']}/scenes", json={"title": title, "script": script})
    view = await rooms.renders.create(RenderRequest(project="tides"))
    view = await rooms.renders.wait(view.id)
    assert view.state == "failed"
    scene = (await client.get("/api/projects/tides/scenes")).json()[1]
    [row] = (await client.get("/api/renders")).json()
    expected = {"index": 1, "id": scene["id"], "title": "The moon", "editable": True}
    assert row["failed_scene"] == expected
    detail = (await client.get(f"/api/renders/{view.id}")).json()
    assert detail["failed_scene"] == expected and detail["offers"][:2] == ["edit_scene", "retry"]
    # Without the project, its script says which scene it was.
    await client.delete("/api/projects/tides?forever=true")
    detail = (await client.get(f"/api/renders/{view.id}")).json()
    assert detail["failed_scene"] == expected | {"title": "!fail", "editable": False}
    assert detail["offers"][0] == "retry"
