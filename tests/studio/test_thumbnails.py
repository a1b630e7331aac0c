"""Lists show small pictures: drawn once, held by the original's owner, seen by who may see the original."""

from __future__ import annotations

import asyncio
import io
import os
import zlib
from typing import Any

import pytest
from PIL import Image

from soundstage.database.tenants import tenant_scope
from studio.assets.schemas import AssetLabels
from studio.references.repository import References
from studio.thumbnails import service
from studio.thumbnails.service import ThumbnailWidth


def picture(size: tuple[int, int], kind: str = "PNG", **more: Any) -> bytes:
    """Noise: the hardest to make small."""
    noise = (
        os.urandom(size[0] * size[1] * 3) if size[0] * size[1] < 4_000_000 else bytes(size[0] * size[1] * 3)
    )
    written = io.BytesIO()
    Image.frombytes("RGB", size, noise).save(written, kind, **more)
    return written.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes whose header promises this size (RFC 2083)."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(9999)))
        + chunk(b"IEND", b"")
    )


async def upload(client: Any, content: bytes) -> dict[str, Any]:
    answer = await client.post("/api/assets?name=p", content=content)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_large_picture_has_a_small_one_below_30_kb_that_may_be_cached_for_good(client: Any) -> None:
    asset = await upload(client, picture((700, 400)))
    assert asset["bytes"] > 800_000
    answer = await client.get(asset["picture"])
    assert answer.headers["content-type"] == "image/webp" and len(answer.content) < 30_000
    assert "immutable" in answer.headers["cache-control"] and "private" in answer.headers["cache-control"]
    assert Image.open(io.BytesIO(answer.content)).size == (320, 183)
    again = await client.get(asset["picture"], headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for version in ("", "&v=000000000000"):
        plain = await client.get(f"/api/assets/{asset['id']}/thumbnail?width=160{version}")
        assert plain.headers["cache-control"] == "private, no-cache"
    for width in ("161", "0", "-1", "99999", "x"):
        assert (await client.get(f"/api/assets/{asset['id']}/thumbnail?width={width}")).status_code == 422


async def test_it_is_upright_never_larger_and_keeps_what_is_see_through(client: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = await upload(client, picture((400, 200), "JPEG", exif=exif))
    small = await client.get(lying["picture"])
    assert Image.open(io.BytesIO(small.content)).size == (200, 400)
    written = io.BytesIO()
    Image.new("RGBA", (64, 64), (255, 0, 0, 0)).save(written, "PNG")
    clear = await client.get((await upload(client, written.getvalue()))["picture"])
    assert Image.open(io.BytesIO(clear.content)).convert("RGBA").getpixel((1, 1))[3] == 0


async def test_it_is_drawn_once_however_many_ask_and_goes_with_the_original(
    client: Any, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    real = service.Thumbnails._drawn

    async def count_calls(self: Any, *arguments: Any) -> bytes:
        drawn.append(1)
        return await real(self, *arguments)

    monkeypatch.setattr(service.Thumbnails, "_drawn", count_calls)
    asset = await upload(client, picture((500, 100)))
    answers = await asyncio.gather(*(client.get(asset["picture"]) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200} and len(drawn) == 1
    async with db.session() as session:
        held = dict(await References(session).holds_of_owner(f"asset:{asset['id']}"))
    assert len([role for role in held if role.startswith("thumbnail:320:")]) == 1
    await client.delete(f"/api/assets/{asset['id']}")
    async with db.session() as session:
        assert await References(session).holds_of_owner(f"asset:{asset['id']}") == []
    assert (await client.get(asset["picture"])).status_code == 404


@pytest.mark.parametrize("moment", ["_drawn", "_keep"])
async def test_none_stays_that_is_drawn_while_the_person_is_erased(
    client: Any, studio_rooms: Any, blobs: Any, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    asset = await upload(client, picture((300, 300)))
    consent = {"person": "Grace H.", "purpose": "courses", "granted_at": "2026-01-01"}
    draft = {"name": "Grace", "media": asset["id"], "consent": consent}
    persona = (await client.post("/api/personas", json=draft)).json()["persona"]
    reached, go_on = asyncio.Event(), asyncio.Event()
    real = getattr(service.Thumbnails, moment)

    async def late(self: Any, *arguments: Any) -> Any:
        drawn = await real(self, *arguments) if moment == "_drawn" else None
        reached.set()
        await go_on.wait()
        return drawn or await real(self, *arguments)

    monkeypatch.setattr(service.Thumbnails, moment, late)
    waiting = asyncio.create_task(client.get(asset["picture"]))
    async with asyncio.timeout(60):
        await reached.wait()
    erasing = asyncio.create_task(client.delete(f"/api/personas/{persona['id']}"))
    async with asyncio.timeout(60):
        while studio_rooms.thumbnails._single_flight._in_flight:  # noqa: ASYNC110 - it is cancelled on its own
            await asyncio.sleep(0.01)
    go_on.set()
    assert (await erasing).status_code == 200
    assert (await waiting).status_code in (200, 404, 503)
    assert [one async for one in blobs.iterate()] == []


async def test_it_is_dropped_when_another_process_deleted_its_owner(
    client: Any, db: Any, blobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = await upload(client, picture((300, 300)))
    real = service.Thumbnails._keep

    async def late(self: Any, *arguments: Any) -> None:
        async with db.transaction() as session:
            await References(session).release(f"asset:{asset['id']}")
        await real(self, *arguments)

    monkeypatch.setattr(service.Thumbnails, "_keep", late)
    assert (await client.get(asset["picture"])).json()["code"] == "rendition.gone"
    assert [one.sha256 async for one in blobs.iterate()] == [asset["sha256"]]


async def test_pictures_that_are_broken_or_far_too_large_are_refused_and_cost_little(client: Any) -> None:
    codes = {}
    for name, content in {
        "bomb": bomb(60_000, 60_000),
        "cut": picture((400, 400))[:50_000],
        "head": b"\x89PNG\r\n\x1a\n" + os.urandom(5000),
        "sound": b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(64),
    }.items():
        asset = await upload(client, content)
        answer = await client.get(f"/api/assets/{asset['id']}/thumbnail")
        codes[name] = answer.json()["code"]
    none = "thumbnail.not_a_picture"
    assert codes == {"bomb": "thumbnail.too_large", "cut": none, "head": none, "sound": none}


async def test_another_tenant_sees_no_thumbnail(studio_rooms: Any, client: Any) -> None:
    async def chunks() -> Any:
        yield picture((400, 100))

    with tenant_scope("acme"):
        view = await studio_rooms.assets.upload(chunks(), AssetLabels())
        assert (await studio_rooms.thumbnails.open(f"asset:{view.id}", view.sha256, ThumbnailWidth.TINY))[
            1
        ].is_file()
    assert (await client.get(f"/api/assets/{view.id}/thumbnail")).json()["code"] == "asset.not_found"


async def test_a_finished_render_shows_its_poster_small(
    client: Any, rooms: Any, render_to_end: Any, blobs: Any, db: Any
) -> None:
    view = await render_to_end(rooms, "hello")
    [row] = (await client.get("/api/renders")).json()
    poster = next(one for one in view.outputs if one.role == "poster")
    assert row["picture"].endswith(poster.sha256[7:19])
    # The worker of these tests draws no pictures.
    assert (await client.get(row["picture"])).json()["code"] == "thumbnail.not_a_picture"
    assert (await client.get("/api/renders/rnd_no/thumbnail")).json()["code"] == "render.not_found"
