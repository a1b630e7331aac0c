"""Uploads by tus 1.0.0 go on after a cut, are bounded, and are forgotten when nobody finishes them."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from sqlalchemy import update

from policy import Principal
from soundstage.blobs import BlobStore, staging
from soundstage.database import utcnow
from soundstage.database.tenants import bypass_tenant_filter, tenant_scope
from soundstage.errors import NotFound
from studio.assets.schemas import AssetLabels
from studio.uploads import service
from studio.uploads.models import ResumableUpload
from studio.uploads.service import LAST_END, UploadService

pytestmark = pytest.mark.each_database

MP4 = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + bytes(range(256)) * 1000
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}


def metadata_header(**pairs: str) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items())


async def begin(client: Any, length: int = len(MP4), **pairs: str) -> str:
    answer = await client.post(
        "/api/uploads",
        headers={**TUS, "Upload-Length": str(length), "Upload-Metadata": metadata_header(**pairs)},
    )
    assert answer.status_code == 201, answer.text
    address: str = answer.headers["location"]
    return address


async def offset(client: Any, address: str) -> int:
    answer = await client.head(address, headers=TUS)
    assert answer.status_code == 200
    return int(answer.headers["upload-offset"])


async def send(client: Any, address: str, at: int, content: bytes) -> Any:
    return await client.patch(address, headers={**PIECE, "Upload-Offset": str(at)}, content=content)


@pytest.fixture
async def server(client: Any) -> AsyncIterator[int]:
    """The port of a real server with the same application: a connection to it can be cut."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(client._transport.app, lifespan="off", log_level="warning", access_log=False)
    running = uvicorn.Server(config)
    task = asyncio.create_task(running.serve([listening]))
    yield int(listening.getsockname()[1])
    running.should_exit = True
    await task


async def test_a_file_comes_in_pieces_and_becomes_an_asset(client: Any, settings: Any) -> None:
    address = await begin(client, filename="../a clip.mp4", tags="sea,blue", relativePath="", kind="video")
    first = await client.head(address, headers=TUS)
    assert first.headers["upload-offset"] == "0" and first.headers["upload-length"] == str(len(MP4))
    assert first.headers["cache-control"] == "no-store" and first.headers["tus-resumable"] == "1.0.0"
    assert first.headers["upload-expires"].endswith("GMT") and "filename" in first.headers["upload-metadata"]
    part = await send(client, address, 0, MP4[:70_000])
    assert (part.status_code, part.headers["upload-offset"]) == (204, "70000")
    assert "upload-asset" not in part.headers
    last = await send(client, address, 70_000, MP4[70_000:])
    assert (last.status_code, last.headers["upload-offset"]) == (204, str(len(MP4)))
    asset = (await client.get(last.headers["upload-asset"])).json()
    assert (asset["name"], asset["tags"], asset["bytes"]) == ("a clip.mp4", ["blue", "sea"], len(MP4))
    assert asset["media_type"] == "video/mp4"
    assert (await client.get(asset["url"])).content == MP4
    after = await client.head(address, headers=TUS)
    assert after.headers["upload-asset"] == last.headers["upload-asset"]
    assert list((settings.state_dir / "uploads").iterdir()) == []
    again = await send(client, address, len(MP4), b"")
    assert again.headers["upload-asset"] == last.headers["upload-asset"], "not a second asset"


async def begin_partly(client: Any, port: int, address: str, content: bytes) -> Any:
    """A connection on which the first bytes of the file have come, and the others never do."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = {**client.headers, **PIECE, "Host": "127.0.0.1", "Upload-Offset": "0"}
    head["Content-Length"] = str(len(MP4))
    lines = [f"PATCH {address} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
    writer.write("\r\n".join(lines).encode() + content)
    await writer.drain()
    uploads = client._transport.app.state.studio.uploads
    async with asyncio.timeout(60):
        while await uploads._staging.size(address.rpartition("/")[2]) < len(content):  # noqa: ASYNC110 - it writes
            await asyncio.sleep(0.02)
    return reader, writer


async def test_after_a_cut_it_goes_on_where_it_was(client: Any, server: int) -> None:
    address = await begin(client)
    _, writer = await begin_partly(client, server, address, MP4[:100_000])
    # Half of it has come; then the cable is pulled.
    writer.transport.abort()
    at = await offset(client, address)
    assert at == 100_000
    done = await send(client, address, at, MP4[at:])
    asset = (await client.get(done.headers["upload-asset"])).json()
    assert (await client.get(asset["url"])).content == MP4


async def test_who_goes_on_does_not_wait_for_a_connection_that_hangs(client: Any, server: int) -> None:
    address = await begin(client)
    reader, writer = await begin_partly(client, server, address, MP4[:5_000])
    async with asyncio.timeout(60):
        assert await offset(client, address) == 5_000
        hung = await reader.readuntil(b"\r\n\r\n")
    assert hung.startswith(b"HTTP/1.1 409")
    writer.close()
    assert (await send(client, address, 5_000, MP4[5_000:])).headers["upload-asset"]


async def test_a_server_that_starts_anew_goes_on(
    client: Any, db: Any, blobs: Any, studio_rooms: Any, settings: Any
) -> None:
    one, two = await begin(client), await begin(client)
    await send(client, one, 0, MP4[:9_000])
    # The second was whole, and the server ended before there was an asset.
    (settings.state_dir / "uploads" / f"{two.rpartition('/')[2]}.part").write_bytes(MP4)
    anew = UploadService(db, blobs, studio_rooms.assets, settings.state_dir.absolute())
    object.__setattr__(studio_rooms, "uploads", anew)
    assert await offset(client, one) == 9_000
    assert (await send(client, one, 9_000, MP4[9_000:])).headers["upload-asset"]
    assert (await client.head(two, headers=TUS)).headers["upload-asset"]


async def test_what_breaks_the_protocol_is_refused_with_its_status(client: Any) -> None:
    address = await begin(client)
    await send(client, address, 0, MP4[:100])

    def beginning(**headers: str) -> Any:
        return client.post(
            "/api/uploads",
            headers={**TUS, **{name.replace("_", "-"): text for name, text in headers.items()}},
        )

    bare = {**TUS, "Upload-Offset": "100"}
    cases: list[tuple[Any, int, str]] = [
        (client.head(address), 412, ""),
        (client.post("/api/uploads", headers={"Upload-Length": "5"}), 412, "upload.tus_version"),
        (beginning(), 422, "upload.bad_header"),
        (beginning(Upload_Length="-1"), 422, "upload.bad_header"),
        (beginning(Upload_Length="9" * 30), 422, "upload.bad_header"),
        (beginning(Upload_Length="0"), 422, "upload.empty"),
        (beginning(Upload_Length=str(2 << 20)), 413, "upload.too_large"),
        (beginning(Upload_Length="9", Upload_Metadata="a !"), 422, "upload.bad_metadata"),
        (beginning(Upload_Length="9", Upload_Metadata="a YQ==,a YQ=="), 422, "upload.bad_metadata"),
        (beginning(Upload_Length="9", Upload_Metadata=metadata_header(kind="x")), 422, "asset.bad_labels"),
        (client.patch(address, headers=bare, content=b"x"), 415, "upload.content_type"),
        (send(client, address, 99, b"x"), 409, "upload.wrong_offset"),
        (send(client, address, 101, b"x"), 409, "upload.wrong_offset"),
        (send(client, address, 100, MP4), 413, "upload.beyond_length"),
        (send(client, "/api/uploads/upl_none", 0, b"x"), 404, "upload.not_found"),
    ]
    for call, status, code in cases:
        answer = await call
        assert answer.status_code == status, (code, answer.text)
        assert answer.headers["tus-resumable"] == "1.0.0"
        assert not code or answer.json()["code"] == code
    assert await offset(client, address) == 100
    described = await client.options("/api/uploads")
    assert described.headers["tus-version"] == "1.0.0" and "creation" in described.headers["tus-extension"]
    assert described.headers["tus-max-size"] == str(1 << 20)


async def test_what_is_no_picture_video_or_sound_is_not_kept(client: Any, settings: Any) -> None:
    address = await begin(client)
    refused = await send(client, address, 0, b"<html>" + bytes(9_000))
    assert (refused.status_code, refused.json()["code"]) == (422, "upload.unknown_type")
    assert (await client.head(address, headers=TUS)).status_code == 404
    wrong = await begin(client, kind="image")
    late = await send(client, wrong, 0, MP4)
    assert late.json()["code"] == "asset.kind_mismatch"
    assert list((settings.state_dir / "uploads").iterdir()) == []


async def test_unfinished_ones_are_counted_and_the_quota_holds(
    client: Any, db: Any, settings: Any, studio_rooms: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = [await begin(client, 1 << 20) for _ in range(4)]
    large = await client.post("/api/uploads", headers={**TUS, "Upload-Length": "9"})
    assert (large.status_code, large.json()["code"]) == (429, "upload.too_many")
    assert (await client.delete(addresses.pop(), headers=TUS)).status_code == 204
    await begin(client, 9)
    monkeypatch.setattr(service, "MAX_UNFINISHED", 4)
    assert (await client.post("/api/uploads", headers={**TUS, "Upload-Length": "9"})).status_code == 429
    small = BlobStore.open(settings.blobs_url, quota_mib=3)
    monkeypatch.setattr(studio_rooms.uploads, "_blobs", small)
    full = await client.post("/api/uploads", headers={**TUS, "Upload-Length": "9"})
    assert (full.status_code, full.json()["code"]) == (507, "blobs.quota_exceeded")


async def test_what_nobody_finishes_is_removed_when_its_time_is_over(
    client: Any, db: Any, settings: Any, studio_rooms: Any
) -> None:
    old, fresh = await begin(client), await begin(client)
    await send(client, old, 0, MP4[:100])
    old_id = old.rpartition("/")[2]
    async with db.transaction() as session:
        await session.execute(
            update(ResumableUpload)
            .where(ResumableUpload.id == old_id)
            .values(expires_at=utcnow() - timedelta(seconds=1))
        )
    assert (await client.head(old, headers=TUS)).status_code == 404, "also before anybody cleans"
    worker = studio_rooms.uploads.worker
    await worker.start()
    async with asyncio.timeout(60):
        while len(list((settings.state_dir / "uploads").iterdir())) > 1:  # noqa: ASYNC110 - the worker's work
            await asyncio.sleep(0.02)
        # The file goes first, then the row.
        with bypass_tenant_filter():
            while await studio_rooms.uploads.list_expired((), 10):  # noqa: ASYNC110 - the worker's work
                await asyncio.sleep(0.02)
    await worker.close()
    assert await offset(client, fresh) == 0


async def expiry(db: Any, address: str) -> Any:
    async with db.session() as session:
        return (await session.get(ResumableUpload, address.rpartition("/")[2])).expires_at


async def test_only_bytes_prolong_it_and_never_beyond_a_week(client: Any, db: Any) -> None:
    address = await begin(client)
    first = await expiry(db, address)
    assert (await send(client, address, 0, b"")).status_code == 204
    assert await expiry(db, address) == first, "nothing came"
    await send(client, address, 0, MP4[:100])
    assert await expiry(db, address) > first
    begun_at = utcnow() - LAST_END + timedelta(hours=1)
    async with db.transaction() as session:
        (await session.get(ResumableUpload, address.rpartition("/")[2])).created_at = begun_at
    await send(client, address, 100, MP4[100:200])
    assert await expiry(db, address) == begun_at + LAST_END


async def test_of_two_that_want_the_last_room_one_gets_it(
    client: Any, settings: Any, studio_rooms: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = BlobStore.open(settings.blobs_url, quota_mib=1)
    monkeypatch.setattr(studio_rooms.uploads, "_blobs", small)
    headers = {**TUS, "Upload-Length": str(700_000)}
    answers = await asyncio.gather(*(client.post("/api/uploads", headers=headers) for _ in range(4)))
    assert sorted(one.status_code for one in answers) == [201, 507, 507, 507]


@pytest.fixture
def a_little_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that has 100 kB beside what uploads leave free."""
    free = staging.RESERVE_BYTES + 100_000
    monkeypatch.setattr(staging.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))


@pytest.mark.usefixtures("a_little_free")
async def test_what_does_not_fit_on_the_disk_is_refused_before_a_byte_comes(
    client: Any, settings: Any, db: Any
) -> None:
    # The store takes a copy when it is whole.
    full = await client.post("/api/uploads", headers={**TUS, "Upload-Length": "60000"})
    assert (full.status_code, full.json()["code"]) == (507, "blobs.disk_full")
    address = await begin(client, 40_000)
    second = await client.post("/api/uploads", headers={**TUS, "Upload-Length": "40000"})
    assert second.json()["code"] == "blobs.disk_full", "the first one has its room"
    await client.delete(address, headers=TUS)
    assert (await begin(client, 40_000)) and len(list((settings.state_dir / "uploads").iterdir())) == 1


@pytest.mark.usefixtures("a_little_free")
@pytest.mark.parametrize("form", [True, False])
async def test_a_whole_upload_that_does_not_fit_on_the_disk_is_not_read(client: Any, form: bool) -> None:
    reads = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal reads
        reads += 1
        yield MP4

    kind = "multipart/form-data; boundary=x" if form else "application/octet-stream"
    headers = {"Content-Length": "900000", "Content-Type": kind}
    answer = await client.post("/api/assets", content=body(), headers=headers)
    assert (answer.status_code, answer.json()["code"], reads) == (507, "blobs.disk_full", 0)
    assert (await client.post("/api/assets", content=MP4[:1000])).status_code == 201


async def test_an_administrator_ends_what_others_left_unfinished(studio_rooms: Any, client: Any) -> None:
    other = Principal(id="key_other", name="other", role="editor", kind="key")
    state = await studio_rooms.uploads.create(other, 9, AssetLabels(), "")
    [listed] = (await client.get("/api/uploads")).json()
    assert (listed["id"], listed["creator"], listed["length"]) == (state.id, "key_other", 9)
    address = f"/api/uploads/{state.id}"
    assert (await client.head(address, headers=TUS)).status_code == 404, "to end it is not to go on with it"
    assert (await client.delete(address, headers=TUS)).status_code == 204
    assert (await client.get("/api/uploads")).json() == []
    with tenant_scope("acme"):
        state = await studio_rooms.uploads.create(other, 9, AssetLabels(), "")
    assert (await client.delete(f"/api/uploads/{state.id}", headers=TUS)).status_code == 404


async def test_only_who_began_it_goes_on_and_another_tenant_sees_none(studio_rooms: Any, client: Any) -> None:
    address = await begin(client)
    upload_id = address.rpartition("/")[2]
    other = Principal(id="key_other", name="other", role="editor", kind="key")
    for tenant in ("default", "acme"):
        with tenant_scope(tenant):
            for act in (studio_rooms.uploads.look, studio_rooms.uploads.end):
                with pytest.raises(NotFound):
                    await act(other, upload_id)
    assert await offset(client, address) == 0
