"""What every room relies on, whether blobs lie in a folder or in a bucket."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from soundstage.blobs import Blob, BlobStore, BucketAccess, parse_sha256, staging
from soundstage.database import utcnow
from soundstage.errors import Invalid, NotFound, StorageFull, TooLarge

MIB = 1 << 20
NO_SUCH = "sha256:" + "0" * 64


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Place:
    """Where a store keeps its blobs, and the folder in which they can be seen from outside."""

    url: str
    cache: Path
    access: BucketAccess | None
    folder: Path

    def open(self, *, quota_mib: int | None = None) -> BlobStore:
        return BlobStore.open(
            self.url, quota_mib=quota_mib, cache=self.cache, access=[self.access] if self.access else ()
        )

    def files(self) -> list[str]:
        """Every file but the lock: blobs, and what should not be there."""
        found = [path for path in self.folder.rglob("*") if path.is_file() and path.name != "lock"]
        return sorted(path.relative_to(self.folder).as_posix() for path in found)

    def leftovers(self) -> list[Path]:
        """Halves of blobs, here or there."""
        return [*self.cache.rglob("*.part"), *self.folder.rglob("*.part")]


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return Place(str(tmp_path / "blobs"), tmp_path / "unused", None, tmp_path / "blobs")
    bucket = request.getfixturevalue("s3").bucket()
    access = BucketAccess(bucket.endpoint_url, "us-east-1", bucket.access_key_id, bucket.secret_access_key)
    return Place(bucket.url, tmp_path / "copies", access, bucket.folder)


@pytest.fixture
def blobs(place: Place) -> BlobStore:
    return place.open()


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_a_blob_lies_under_the_hash_of_its_content(blobs: BlobStore, place: Place) -> None:
    blob = await blobs.put_bytes(b"hello", "text/plain")
    assert blob == Blob(sha256(b"hello"), 5, "text/plain")
    digits = blob.sha256.removeprefix("sha256:")
    assert await blobs.local_path(blob.sha256) == blobs.root / digits[:2] / digits
    assert await blobs.read(blob.sha256) == b"hello"
    assert place.files() == [f"{digits[:2]}/{digits}"]


async def test_the_same_content_is_stored_once_however_it_comes(
    blobs: BlobStore, place: Place, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"hello")
    put = [
        await blobs.put_bytes(b"hello"),
        await blobs.put_file(tmp_path / "file"),
        await blobs.put_stream(pieces(b"he", b"", b"llo")),
    ]
    assert len(set(put)) == 1
    assert len(place.files()) == 1
    assert (tmp_path / "file").exists()


async def test_nothing_at_all_is_a_blob_too(blobs: BlobStore, place: Place) -> None:
    blob = await blobs.put_bytes(b"")
    assert (blob.bytes, blob.sha256, await blobs.read(blob.sha256)) == (0, sha256(b""), b"")


async def test_what_is_not_stored_is_not_found(blobs: BlobStore, place: Place) -> None:
    for read in (blobs.read, blobs.local_path, blobs.verify):
        with pytest.raises(NotFound) as error:
            await read(NO_SUCH)
        assert error.value.code == "blob.not_found"
    assert not await blobs.exists(NO_SUCH)
    assert await blobs.stat(NO_SUCH) is None
    assert await blobs.delete(NO_SUCH) is False


@pytest.mark.parametrize(
    "text", ["", "sha256:", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 65, "0" * 64 + "\n", "md5:x"]
)
async def test_what_is_no_hash_never_becomes_a_path(blobs: BlobStore, text: str) -> None:
    with pytest.raises(Invalid) as error:
        parse_sha256(text)
    assert error.value.code == "blob.bad_hash"
    with pytest.raises(Invalid):
        await blobs.local_path(text)


async def test_big_files_pass_through_without_filling_the_memory(
    blobs: BlobStore, place: Place, tmp_path: Path
) -> None:
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(64 * MIB)
    tracemalloc.start()
    try:
        blob = await blobs.put_file(big)
        size = 0
        async for chunk in blobs.stream(blob.sha256):
            size += len(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size == blob.bytes == 64 * MIB
    assert peak < 8 * MIB


async def test_a_blob_is_not_visible_before_it_is_whole(blobs: BlobStore, place: Place) -> None:
    half_way = asyncio.Event()
    go_on = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"he"
        half_way.set()
        await go_on.wait()
        yield b"llo"

    putting = asyncio.create_task(blobs.put_stream(slowly()))
    await half_way.wait()
    assert not await blobs.exists(sha256(b"hello"))
    assert [found async for found in blobs.iterate()] == []
    go_on.set()
    assert (await putting).sha256 == sha256(b"hello")


async def test_a_stream_that_breaks_leaves_nothing(blobs: BlobStore, place: Place) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"he"
        raise ConnectionResetError("the caller went away")

    with pytest.raises(ConnectionResetError):
        await blobs.put_stream(broken())
    assert place.files() == [] and place.leftovers() == []


async def test_a_cancelled_upload_leaves_nothing(blobs: BlobStore, place: Place) -> None:
    started = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000
            started.set()
            await asyncio.sleep(0.01)

    putting = asyncio.create_task(blobs.put_stream(endless()))
    await started.wait()
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert place.files() == [] and place.leftovers() == []


async def test_an_upload_over_its_limit_is_cut_off_and_leaves_nothing(blobs: BlobStore, place: Place) -> None:
    seen = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal seen
        while True:
            seen += 1
            yield b"x" * MIB

    with pytest.raises(TooLarge) as error:
        await blobs.put_stream(endless(), max_bytes=3 * MIB)
    assert (error.value.code, seen) == ("blob.too_large", 4)
    assert place.files() == [] and place.leftovers() == []
    assert (await blobs.put_stream(pieces(b"x" * MIB), max_bytes=MIB)).bytes == MIB


async def test_the_quota_refuses_what_would_pass_it_and_nothing_else(place: Place, tmp_path: Path) -> None:
    store = place.open(quota_mib=2)
    first = await store.put_bytes(b"a" * MIB)
    with pytest.raises(StorageFull) as error:
        await store.put_bytes(b"b" * (MIB + 1))
    assert (error.value.code, error.value.status) == ("blobs.quota_exceeded", 507)
    await store.put_bytes(b"c" * MIB)
    # What is there already takes no space.
    await store.put_bytes(b"a" * MIB)
    assert len(place.files()) == 2
    await store.delete(first.sha256)
    await store.put_bytes(b"d" * MIB)
    assert await store.usage_bytes() == 2 * MIB


async def test_the_quota_refuses_a_large_file_before_copying_it(place: Place, tmp_path: Path) -> None:
    store = place.open(quota_mib=1)
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        # Sparse: no disk has room for a copy.
        file.truncate(1 << 43)
    with pytest.raises(StorageFull) as error:
        await store.put_file(huge)
    assert error.value.code == "blobs.quota_exceeded"
    assert place.files() == [] and place.leftovers() == []


async def test_what_is_in_flight_counts_for_the_quota(place: Place) -> None:
    store = place.open(quota_mib=3)
    going, read = asyncio.Event(), 0

    async def held() -> AsyncIterator[bytes]:
        yield b"a" * MIB
        await going.wait()
        yield b"a" * MIB

    async def counted() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(5):
            read += 1
            yield b"b" * MIB

    first = asyncio.create_task(store.put_stream(held(), expected_bytes=2 * MIB))
    async with asyncio.timeout(20):
        while not place.leftovers():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
    with pytest.raises(StorageFull) as announced:
        await store.put_stream(counted(), expected_bytes=2 * MIB)
    assert (announced.value.code, read) == ("blobs.quota_exceeded", 0)
    with pytest.raises(StorageFull):
        await store.put_stream(counted())
    assert read == 2, "refused while it comes"
    going.set()
    await first
    # What was reserved is free again.
    await store.put_stream(pieces(b"c" * MIB), expected_bytes=MIB)
    assert await store.usage_bytes() == 3 * MIB


async def test_what_is_announced_must_fit_on_the_disk_and_what_is_written_is_on_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, going = place.open(), asyncio.Event()

    def disk_usage(_: Path) -> SimpleNamespace:
        used = sum(path.stat().st_size for path in place.leftovers())
        return SimpleNamespace(free=staging.RESERVE_BYTES + 3 * MIB - used)

    monkeypatch.setattr(staging.shutil, "disk_usage", disk_usage)

    async def slow_body() -> AsyncIterator[bytes]:
        yield b"a" * MIB
        await going.wait()
        yield b"a" * MIB

    first = asyncio.create_task(store.put_stream(slow_body(), expected_bytes=2 * MIB))
    async with asyncio.timeout(20):
        while sum(path.stat().st_size for path in place.leftovers()) < MIB:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    with pytest.raises(StorageFull) as refused:
        await store.put_stream(pieces(b"b" * 1_500_000), expected_bytes=1_500_000)
    assert refused.value.code == "blobs.disk_full"
    await store.put_stream(pieces(b"b" * MIB), expected_bytes=MIB)
    going.set()
    await first


async def test_what_others_have_stored_counts_for_the_quota(place: Place, tmp_path: Path) -> None:
    other = place.open()
    await other.put_bytes(b"a" * MIB)
    store = place.open(quota_mib=1)
    with pytest.raises(StorageFull):
        await store.put_bytes(b"b")


async def test_iterating_gives_every_blob_and_no_other_file(blobs: BlobStore, place: Place) -> None:
    put = {(await blobs.put_bytes(bytes([number]))).sha256 for number in range(20)}
    (place.folder / "ab").mkdir(exist_ok=True)
    (place.folder / "ab" / "notes.txt").write_text("mine")
    (place.folder / "README").write_text("mine")
    (place.folder / "cd").mkdir(exist_ok=True)
    (place.folder / "cd" / ("ab" + "0" * 62)).write_text("in the wrong folder")
    found = [blob async for blob in blobs.iterate()]
    assert {blob.sha256 for blob in found} == put
    assert all(blob.bytes == 1 for blob in found)
    assert await blobs.usage_bytes() == 20


async def test_deleting_takes_the_file_away(blobs: BlobStore, place: Place) -> None:
    blob = await blobs.put_bytes(b"hello")
    assert await blobs.delete(blob.sha256) is True
    assert await blobs.delete(blob.sha256) is False
    assert place.files() == [] and place.leftovers() == []


async def test_a_collector_spares_what_was_put_again_since_it_looked(blobs: BlobStore, place: Place) -> None:
    blob = await blobs.put_bytes(b"hello")
    (path,) = (place.folder / name for name in place.files())
    old = (utcnow() - timedelta(days=2)).timestamp()
    os.utime(path, (old, old))
    looked = utcnow() - timedelta(hours=1)
    await blobs.put_bytes(b"hello")
    assert await blobs.delete(blob.sha256, unless_modified_since=looked) is False
    os.utime(path, (old, old))
    assert await blobs.delete(blob.sha256, unless_modified_since=looked) is True


async def test_what_is_put_again_right_after_the_look_is_spared(blobs: BlobStore, place: Place) -> None:
    """The kernel's clock for files lags some milliseconds behind ours."""
    blob = await blobs.put_bytes(b"hello")
    for _ in range(20):
        await asyncio.sleep(0.006)
        looked = utcnow()
        await blobs.put_bytes(b"hello")
        if place.access is None:
            assert await blobs.delete(blob.sha256, unless_modified_since=looked) is False


async def test_what_is_touched_is_spared_like_what_is_put_again(blobs: BlobStore, place: Place) -> None:
    blob = await blobs.put_bytes(b"hello")
    looked = utcnow()
    assert await blobs.touch(blob.sha256)
    if place.access is None:
        assert await blobs.delete(blob.sha256, unless_modified_since=looked) is False
    await blobs.delete(blob.sha256)
    assert not await blobs.touch(blob.sha256)


async def test_changed_content_is_noticed(blobs: BlobStore, place: Place) -> None:
    blob = await blobs.put_bytes(b"hello")
    assert await blobs.verify(blob.sha256)
    (place.folder / place.files()[0]).write_bytes(b"hellO")
    assert not await blobs.verify(blob.sha256)


async def test_a_missing_source_is_named_without_its_folder(
    blobs: BlobStore, place: Place, tmp_path: Path
) -> None:
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(NotFound) as error:
            await blobs.put_file(path)
        assert error.value.code == "blob.source_missing"
        assert str(tmp_path.parent) not in error.value.message


async def test_many_who_put_the_same_at_once_store_it_once(blobs: BlobStore, place: Place) -> None:
    put = await asyncio.gather(*(blobs.put_bytes(b"hello" * 1000) for _ in range(12)))
    assert len(set(put)) == 1
    assert len(place.files()) == 1 and place.leftovers() == []
    assert await blobs.verify(put[0].sha256)


async def test_what_is_put_while_a_collector_removes_it_is_there_afterwards(
    blobs: BlobStore, place: Place
) -> None:
    blob = await blobs.put_bytes(b"hello")
    (path,) = (place.folder / name for name in place.files())
    old = (utcnow() - timedelta(days=2)).timestamp()
    for _ in range(15):
        os.utime(path, (old, old))
        looked = utcnow() - timedelta(hours=1)
        await asyncio.gather(
            blobs.put_bytes(b"hello"), blobs.delete(blob.sha256, unless_modified_since=looked)
        )
        assert await blobs.exists(blob.sha256)
