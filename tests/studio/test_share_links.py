"""A link shows one finished video to whoever has it, until it ends, and tells of nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from avatar.spec import Canvas
from sqlalchemy import select

from policy.attempts import PER_SOURCE
from policy.audit import AuditLog
from soundstage.database import Database, utcnow
from soundstage.database.tenants import bypass_tenant_filter, tenant_scope
from studio.assets.schemas import AssetLabels
from studio.personas.schemas import PersonaDraft
from studio.renders.models import Render
from studio.renders.schemas import RenderRequest
from studio.retention.service import RetentionRules
from studio.share_links import service
from studio.share_links.models import ShareLink
from studio.share_links.page import video_page
from studio.share_links.schemas import ShareLinkDraft
from studio.wiring import Studio

pytestmark = pytest.mark.each_database
SMALL = Canvas(width=320, height=180)
WEEK = timedelta(days=7)


@pytest.fixture
async def stranger(client: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """A browser elsewhere, without a key."""
    transport = httpx.ASGITransport(app=client._transport.app, client=("203.0.113.9", 40_000))  # type: ignore[attr-defined]
    async with httpx.AsyncClient(transport=transport, base_url="https://studio.example") as created:
        yield created


@pytest.fixture
async def video(rooms: Studio) -> str:
    return await video_of(rooms)


async def video_of(rooms: Studio, script: str = "hello", title: str = "How <tides> work") -> str:
    created = await rooms.renders.create(RenderRequest(script=script, title=title, canvas=SMALL))
    return (await rooms.renders.wait(created.id)).id


async def link_to(client: Any, video: str, lasts: timedelta = WEEK, **more: Any) -> Any:
    body = {"expires_at": (utcnow() + lasts).isoformat(), **more}
    answer = await client.post(f"/api/renders/{video}/links", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def path_of(link: Any) -> str:
    """Returns the path of a link's address."""
    return str(httpx.URL(link["url"]).path)


async def statuses(stranger: Any, path: str) -> list[int]:
    """Returns the status of the page and of each of its files."""
    paths = (path, f"{path}/video", f"{path}/captions", f"{path}/poster")
    return [(await stranger.get(one)).status_code for one in paths]


def pass_time(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    monkeypatch.setattr(service, "utcnow", lambda: utcnow() + by)


async def test_a_stranger_sees_the_video_its_title_and_captions_and_nothing_else(
    client: Any, stranger: Any, rooms: Studio, video: str
) -> None:
    other = await video_of(rooms, "another", "Secret")
    link = await link_to(client, video, name="  For\nAnn ")
    assert link["url"].startswith("http://127.0.0.1:8000/shared/") and link["name"] == "For Ann"
    path = path_of(link)
    page = await stranger.get(path)
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert "<h1>How &lt;tides&gt; work</h1>" in page.text and "<tides>" not in page.text
    assert "Synthetic video" in page.text and f'src="{path}/captions"' in page.text
    for private in (video, other, "Secret", "/api/", "For Ann", "<script"):
        assert private not in page.text
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-robots-tag"] == "noindex, nofollow"
    assert page.headers["cache-control"] == "private, no-store"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'") and "script-src" not in policy
    film = await stranger.get(f"{path}/video")
    assert film.content == (await client.get(f"/api/renders/{video}/files/video")).content
    assert (film.headers["referrer-policy"], film.headers["x-robots-tag"]) == (
        "no-referrer",
        "noindex, nofollow",
    )
    captions = await stranger.get(f"{path}/captions")
    assert captions.headers["content-type"].startswith("text/vtt")
    for closed in ("provenance", "srt", "log", "files/video"):
        assert (await stranger.get(f"{path}/{closed}")).status_code == 404
    token = path.rpartition("/")[2]
    for header in ({}, {"Authorization": f"Bearer {token}"}):
        answer = await stranger.get(f"/api/renders/{video}", headers=header)
        assert answer.status_code == 401


async def test_captions_that_the_picture_has_are_not_shown_a_second_time(
    client: Any, stranger: Any, rooms: Studio, video: str
) -> None:
    request = RenderRequest(script="hello", title="Burned in", canvas=SMALL, captions="both")
    burned = (await rooms.renders.wait((await rooms.renders.create(request)).id)).id
    shown = [(await stranger.get(path_of(await link_to(client, one)))).text for one in (video, burned)]
    assert ['label="Captions" default>' in page for page in shown] == [True, False]
    assert all('<track kind="captions"' in page for page in shown)


async def test_ranges_of_the_video_are_served(client: Any, stranger: Any, video: str) -> None:
    path = path_of(await link_to(client, video))
    whole = (await stranger.get(f"{path}/video")).content
    part = await stranger.get(f"{path}/video", headers={"Range": "bytes=4-11"})
    assert (part.status_code, part.content) == (206, whole[4:12])
    assert part.headers["content-range"] == f"bytes 4-11/{len(whole)}"
    beyond = await stranger.get(f"{path}/video", headers={"Range": f"bytes={len(whole)}-"})
    assert beyond.status_code == 416


async def test_the_page_speaks_the_language_of_its_reader(client: Any, stranger: Any, video: str) -> None:
    path = path_of(await link_to(client, video))
    german = await stranger.get(path, headers={"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"})
    assert '<html lang="de">' in german.text and "Synthetisches Video" in german.text
    assert '<html lang="en">' in (await stranger.get(path, headers={"Accept-Language": "fr"})).text


async def test_a_link_ends_by_the_clock(
    client: Any, stranger: Any, video: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = path_of(await link_to(client, video, timedelta(days=1)))
    pass_time(monkeypatch, timedelta(hours=23))
    assert await statuses(stranger, path) == [200] * 4
    pass_time(monkeypatch, timedelta(hours=25))
    assert await statuses(stranger, path) == [404] * 4
    (listed,) = (await client.get(f"/api/renders/{video}/links")).json()
    assert listed["state"] == "expired"


async def test_a_link_is_revoked_at_once_and_for_good(
    client: Any, stranger: Any, video: str, audit: AuditLog
) -> None:
    link, other = await link_to(client, video, name="Ann"), await link_to(client, video)
    path = path_of(link)
    assert await statuses(stranger, path) == [200] * 4
    address = f"/api/renders/{video}/links/{link['id']}"
    revoked = (await client.delete(address)).json()
    assert revoked["state"] == "revoked" and revoked["revoked_at"] is not None
    assert await statuses(stranger, path) == [404] * 4
    assert await statuses(stranger, path_of(other)) == [200] * 4
    assert (await client.delete(address)).json() == revoked, "a repeated request changes nothing"
    lines = [line for line in (await audit.trail(video)).lines if line.kind.startswith("link.")]
    assert [(line.kind, line.data["link"], line.data["name"]) for line in lines] == [
        ("link.created", link["id"], "Ann"),
        ("link.created", other["id"], ""),
        ("link.revoked", link["id"], "Ann"),
    ]
    assert {line.actor for line in lines} == {revoked["created_by"]}


async def test_unknown_ended_and_trashed_all_look_alike(client: Any, stranger: Any, video: str) -> None:
    trashed, revoked = await link_to(client, video), await link_to(client, video)
    await client.delete(f"/api/renders/{video}/links/{revoked['id']}")
    unknown = await stranger.get("/shared/" + "0" * 64)
    assert unknown.status_code == 404 and "There is no video here" in unknown.text
    assert unknown.headers["referrer-policy"] == "no-referrer"
    await client.delete(f"/api/renders/{video}")
    for link in (trashed, revoked):
        gone = await stranger.get(path_of(link))
        assert (gone.status_code, gone.text, gone.headers) == (404, unknown.text, unknown.headers)
    await client.post(f"/api/renders/{video}/restore")
    assert await statuses(stranger, path_of(trashed)) == [200] * 4
    assert await statuses(stranger, path_of(revoked)) == [404] * 4


async def test_links_end_with_their_video(client: Any, stranger: Any, rooms: Studio, db: Database) -> None:
    deleted, retained = await video_of(rooms), await video_of(rooms, "older")
    paths = [path_of(await link_to(client, one)) for one in (deleted, retained)]
    assert (await client.delete(f"/api/renders/{deleted}?forever=true")).status_code == 204
    assert await statuses(stranger, paths[0]) == [404] * 4
    await rooms.retention.apply(RetentionRules(render_days=0))
    assert await statuses(stranger, paths[1]) == [404] * 4
    with bypass_tenant_filter():
        async with db.session() as session:
            assert (await session.scalars(select(ShareLink))).all() == []


async def test_erasing_a_person_ends_the_links_to_their_videos(
    client: Any, stranger: Any, rooms: Studio
) -> None:
    async def photo() -> AsyncIterator[bytes]:
        yield b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + b"grace" * 50

    asset = await rooms.assets.upload(photo(), AssetLabels(name="grace.jpg"))
    consent = {"person": "Grace H.", "purpose": "course videos", "granted_at": "2026-01-05"}
    draft = PersonaDraft.model_validate({"name": "Grace", "media": asset.id, "consent": consent})
    persona = (await rooms.personas.create(draft)).persona
    created = await rooms.renders.create(RenderRequest(script="hello", persona=persona.id, canvas=SMALL))
    path = path_of(await link_to(client, (await rooms.renders.wait(created.id)).id))
    assert await statuses(stranger, path) == [200] * 4
    await rooms.people.erase_persona(persona.id)
    assert await statuses(stranger, path) == [404] * 4


async def test_only_the_hash_of_a_token_is_stored(client: Any, video: str, db: Database) -> None:
    link = await link_to(client, video)
    token = path_of(link).rpartition("/")[2]
    assert len(token) == 64
    async with db.session() as session:
        (row,) = (await session.scalars(select(ShareLink))).all()
    assert token not in repr(vars(row)) and len(row.token_sha256) == 64
    listed = (await client.get(f"/api/renders/{video}/links")).text
    assert token not in listed and row.token_sha256 not in listed and "url" not in listed


async def test_uses_are_counted_by_the_page_and_dated_by_its_files(
    client: Any, stranger: Any, video: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"/api/renders/{video}/links"
    path = path_of(await link_to(client, video))
    (unused,) = (await client.get(address)).json()
    assert (unused["uses"], unused["last_used_at"]) == (0, None)
    for _ in range(2):
        await statuses(stranger, path)
    (used,) = (await client.get(address)).json()
    assert used["uses"] == 2 and used["last_used_at"] is not None
    pass_time(monkeypatch, timedelta(minutes=2))
    await stranger.get(f"{path}/video")
    (later,) = (await client.get(address)).json()
    assert later["uses"] == 2 and later["last_used_at"] > used["last_used_at"]


async def test_a_flood_of_wrong_links_is_slowed_down_and_interrupts_nobody_who_watches(
    client: Any, stranger: Any, video: str
) -> None:
    watched, unopened = [path_of(await link_to(client, video)) for _ in range(2)]
    assert (await stranger.get(watched)).status_code == 200
    answers = [await stranger.get(f"/shared/{number:064x}") for number in range(int(PER_SOURCE.burst) + 5)]
    assert {answer.status_code for answer in answers} == {404, 429}
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert await statuses(stranger, watched) == [200] * 4
    assert (await stranger.get(unopened)).status_code == 429


async def test_right_links_cost_nothing(client: Any, stranger: Any, rooms: Studio, video: str) -> None:
    for _ in range(int(PER_SOURCE.burst) + 5):
        path = path_of(await link_to(client, video))
        assert (await stranger.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"expires_at": "2001-01-01T00:00:00Z"}, "share_link.expires_in_the_past"),
        ({"expires_at": "2999-01-01T00:00:00Z"}, "share_link.too_long"),
        ({"expires_at": "2030-01-01T00:00:00"}, "request.invalid"),
        ({}, "request.invalid"),
        ({"expires_at": "2030-01-01T00:00:00Z", "name": "x" * 101}, "request.invalid"),
        ({"expires_at": "2030-01-01T00:00:00Z", "uses": 3}, "request.invalid"),
    ],
)
async def test_a_link_needs_an_end_within_a_year(client: Any, video: str, body: Any, code: str) -> None:
    answer = await client.post(f"/api/renders/{video}/links", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_only_finished_videos_are_shared(
    client: Any, rooms: Studio, video: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    preview = await rooms.renders.create(RenderRequest(script="hello", canvas=SMALL, preview=True))
    await rooms.renders.wait(preview.id)
    failed = await rooms.renders.create(RenderRequest(script="!fail", canvas=SMALL))
    await rooms.renders.wait(failed.id)
    body = {"expires_at": (utcnow() + WEEK).isoformat()}
    for one in (preview.id, failed.id):
        answer = await client.post(f"/api/renders/{one}/links", json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "share_link.not_finished")
    monkeypatch.setattr(service, "MAX_LINKS", 1)
    await link_to(client, video)
    answer = await client.post(f"/api/renders/{video}/links", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "share_link.too_many")
    await client.delete(f"/api/renders/{video}")
    answer = await client.post(f"/api/renders/{video}/links", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "render.in_trash")


async def test_a_video_that_is_made_again_is_not_shown_meanwhile(
    client: Any, stranger: Any, video: str, db: Database
) -> None:
    path = path_of(await link_to(client, video))
    async with db.transaction() as session:
        row = await session.get(Render, video)
        assert row is not None
        row.state = "running"
    assert await statuses(stranger, path) == [404] * 4


async def test_another_tenant_neither_sees_nor_ends_a_link_but_its_holder_sees_the_video(
    client: Any, stranger: Any, rooms: Studio
) -> None:
    with tenant_scope("acme"):
        theirs = await video_of(rooms)
        draft = ShareLinkDraft(expires_at=utcnow() + WEEK)
        link, token = await rooms.share_links.create(theirs, draft, by="Ann")
    answers = [
        await client.get(f"/api/renders/{theirs}/links"),
        await client.post(f"/api/renders/{theirs}/links", json={"expires_at": (utcnow() + WEEK).isoformat()}),
        await client.delete(f"/api/renders/{theirs}/links/{link.id}"),
    ]
    assert [(one.status_code, one.json()["code"]) for one in answers] == [(404, "render.not_found")] * 3
    mine = await video_of(rooms, "mine")
    moved = await client.delete(f"/api/renders/{mine}/links/{link.id}")
    assert (moved.status_code, moved.json()["code"]) == (404, "share_link.not_found")
    assert await statuses(stranger, f"/shared/{token}") == [200] * 4
    with tenant_scope("acme"):
        (seen,) = await rooms.share_links.list(theirs)
    assert (seen.state, seen.uses) == ("active", 1)


async def test_a_link_of_one_video_is_none_of_another(client: Any, rooms: Studio, video: str) -> None:
    other = await video_of(rooms, "another")
    link = await link_to(client, video)
    answer = await client.delete(f"/api/renders/{other}/links/{link['id']}")
    assert (answer.status_code, answer.json()["code"]) == (404, "share_link.not_found")


def test_the_page_of_a_link_has_the_words_of_the_captions() -> None:
    vtt = (
        "WEBVTT\n\n1\n00:00.000 --> 00:01.000 line:80%\n<c.now>Rise</c> &amp; fall\nof <b>tides</b>\n\n"
        "NOTE a remark\n\n00:01.000 --> 00:02.000\nEnd &lt;here&gt;.\n"
    )
    text = service.text_of_captions(vtt)
    assert text == "Rise & fall of tides End <here>."
    page = video_page("T", "/shared/x", ["video", "captions"], "de", shows_captions=False, transcript=text)
    assert "<summary>Was gesagt wird</summary><p>Rise &amp; fall of tides End &lt;here&gt;.</p>" in page
    assert "<details" not in video_page("T", "/shared/x", ["video"], "de", shows_captions=False)
