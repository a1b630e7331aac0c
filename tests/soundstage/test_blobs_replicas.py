"""A bucket on two S3 servers: either may be away, and nothing is lost."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import s3_server

from soundstage.blobs import BlobStore, BucketAccess
from soundstage.blobs.repair import BlobRepair
from soundstage.errors import NotFound, SoundstageError, Unavailable
from soundstage.settings.sections import BlobSettings

NAME = "common"


@dataclass
class Two:
    servers: list[s3_server.S3Server]
    open: Callable[..., BlobStore]

    def files(self, number: int) -> set[str]:
        """Returns the hashes of the files that a server has."""
        folder = self.servers[number].folder / NAME
        return {
            f"sha256:{path.name}" for path in folder.rglob("??/*") if path.is_file() and len(path.name) == 64
        }


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    program = s3_server.find_program()
    if program is None:
        pytest.skip(s3_server.INSTALL)
    with ExitStack() as stack:
        servers = [stack.enter_context(s3_server.running_s3_server(program)) for _ in range(2)]
        servers[1].stop()
        servers[1].secret_access_key = servers[0].secret_access_key
        servers[1].start()
        buckets = [server.bucket(NAME) for server in servers]

        def open_store(machine: str = "here") -> BlobStore:
            access = [
                BucketAccess(one.endpoint_url, None, one.access_key_id, one.secret_access_key)
                for one in buckets
            ]
            cache = tmp_path / machine
            return BlobStore.open(buckets[0].url, cache=cache, access=access, signed_urls=True)

        yield Two(servers, open_store)


async def test_every_file_is_on_both(two: Two) -> None:
    store = two.open()
    blob = await store.put_bytes(b"hello")
    assert two.files(0) == two.files(1) == {blob.sha256}
    assert [found.sha256 async for found in store.iterate()] == [blob.sha256]
    assert await store.delete(blob.sha256)
    assert two.files(0) == two.files(1) == set()
    with pytest.raises(NotFound):
        await store.read(blob.sha256)


@pytest.mark.parametrize("lost", [0, 1])
async def test_files_are_read_and_written_while_one_is_away_and_are_on_both_afterwards(
    two: Two, lost: int
) -> None:
    store = two.open()
    await store.copy_missing()
    before = await store.put_bytes(b"before")
    two.servers[lost].stop()
    assert await two.open("there").read(before.sha256) == b"before"
    after = await store.put_bytes(b"after")
    assert await store.exists(after.sha256) and not await store.exists(f"sha256:{'0' * 64}")
    assert (await store.usage_bytes(), store.may_differ) == (11, True)
    with pytest.raises(Unavailable):
        await store.delete(before.sha256, strictly=True)
    repair = BlobRepair(store)
    with pytest.raises(Unavailable):
        await repair.poll()
    assert repair.failure is not None
    two.servers[lost].start()
    await repair.poll()
    assert repair.failure is None
    assert two.files(0) == two.files(1) == {before.sha256, after.sha256}
    assert not store.may_differ


@pytest.mark.parametrize("repairing", ["the same process", "another one"])
async def test_what_is_deleted_while_one_is_away_does_not_come_back_with_it(two: Two, repairing: str) -> None:
    store = two.open()
    old, again = [await store.put_bytes(content) for content in (b"old", b"again")]
    two.servers[1].stop()
    # S3 tells times in whole seconds.
    await asyncio.sleep(1.1)
    assert await store.delete(old.sha256) and await store.delete(again.sha256)
    await two.open("there").put_bytes(b"again")
    two.servers[1].start()
    await (store if repairing == "the same process" else two.open("elsewhere")).copy_missing()
    assert two.files(0) == two.files(1) == {again.sha256}, "what was put again stays"
    left = [
        path for one in two.servers for path in (one.folder / NAME / "deleted").rglob("*") if path.is_file()
    ]
    assert not left, "nothing is marked any more"


async def test_what_a_worker_puts_on_one_is_copied_to_the_other(two: Two) -> None:
    store = two.open()
    content = b"a segment"
    sha256 = f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert await store.complete_upload(sha256) is None
    upload = await store.sign_upload(sha256, len(content), 60)
    assert upload is not None
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.put(upload.url, content=content, headers=upload.headers)).status_code == 200
        assert two.files(0) ^ two.files(1) == {sha256}
        found = await store.complete_upload(sha256)
        assert found is not None and two.files(0) == two.files(1) == {sha256}
        two.servers[0].stop()
        address = await two.open("there").sign_download(sha256, 60)
        assert address is not None and (await client.get(address)).content == content


def damage(two: Two, number: int, sha256: str) -> Path:
    """Leaves an empty file, as a power cut does."""
    digits = sha256.removeprefix("sha256:")
    (path,) = (two.servers[number].folder / NAME).rglob(digits)
    path.write_bytes(b"")
    return path


@pytest.mark.parametrize("bad", [0, 1])
async def test_a_damaged_copy_is_mended_by_a_whole_one(two: Two, bad: int) -> None:
    store = two.open()
    blob, other = [await store.put_bytes(content) for content in (b"hello", b"other")]
    damaged = damage(two, bad, blob.sha256)
    assert await store.verify(blob.sha256)
    assert bad == 1 or damaged.read_bytes() == b"hello"
    damage(two, bad, blob.sha256)
    assert (await two.open("there").local_path(blob.sha256)).read_bytes() == b"hello"
    damage(two, bad, blob.sha256)
    for number in (0, 1):
        damage(two, number, other.sha256)
    store.compare_again()
    await store.copy_missing()
    assert damaged.read_bytes() == b"hello"
    assert not await store.verify(other.sha256), "no whole copy is left"
    assert not store.may_differ


async def test_what_only_the_server_has_that_is_away_is_not_called_missing(two: Two) -> None:
    store = two.open()
    two.servers[0].stop()
    blob = await store.put_bytes(b"hello")
    two.servers[0].start()
    two.servers[1].stop()
    with pytest.raises(Unavailable):
        await two.open("there").read(blob.sha256)
    with pytest.raises(Unavailable):
        await store.delete(blob.sha256, strictly=True)
    two.servers[1].start()
    assert await two.open("there").read(blob.sha256) == b"hello"


async def test_a_server_that_was_emptied_is_filled_again(two: Two) -> None:
    store = two.open()
    blob = await store.put_bytes(b"hello")
    await store.copy_missing()
    damage(two, 0, blob.sha256).unlink()
    assert await store.read(blob.sha256) == b"hello" and store.may_differ
    assert await store.copy_missing() == 1
    assert two.files(0) == two.files(1) == {blob.sha256}


async def test_what_was_put_again_on_one_is_spared(two: Two) -> None:
    store = two.open()
    blob = await store.put_bytes(b"hello")
    await asyncio.sleep(1.1)
    planned_at = datetime.now(UTC).replace(microsecond=0)
    two.servers[0].stop()
    await two.open("there").put_bytes(b"hello")
    two.servers[0].start()
    assert not await store.delete(blob.sha256, unless_modified_since=planned_at, strictly=True)
    assert two.files(0) == two.files(1) == {blob.sha256}


async def test_two_that_are_away_are_unreachable(two: Two) -> None:
    store = two.open()
    blob = await store.put_bytes(b"hello")
    for server in two.servers:
        server.stop()
    for call in (store.put_bytes(b"other"), store.exists(blob.sha256), two.open("there").read(blob.sha256)):
        with pytest.raises(SoundstageError) as error:
            await call
        assert error.value.code == "blobs.unreachable"
    two.servers[1].start()
    assert await store.exists(blob.sha256), "one that comes back is asked at once where all are away"


async def test_a_server_without_the_bucket_is_an_error(two: Two) -> None:
    (two.servers[1].folder / NAME).rmdir()
    with pytest.raises(SoundstageError) as error:
        await two.open().put_bytes(b"hello")
    assert error.value.code == "blobs.no_bucket"


def test_the_settings_name_further_servers(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    (tmp_path / "secret").chmod(0o600)
    settings = BlobSettings.model_validate(
        {
            "endpoint_url": "https://one.example",
            "replica_endpoint_urls": "https://two.example, https://three.example",
            "secret_key_file": str(tmp_path / "secret"),
        }
    )
    access = BucketAccess.of_all(settings)
    assert [one.endpoint() for one in access] == [f"https://{one}.example" for one in ("one", "two", "three")]
    assert {one.secret_access_key for one in access} == {"hunter2"}
