"""What is particular to a bucket: copies here, a server that may be gone or refuse, lines that break."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from soundstage.blobs import BlobStore, BucketAccess
from soundstage.errors import NotFound, SoundstageError, StorageFull, Upstream
from soundstage.settings import load_settings

MIB = 1 << 20
NO_SUCH = "sha256:" + "0" * 64


@pytest.fixture
def bucket(s3: Any) -> Any:
    return s3.bucket()


@pytest.fixture
def open_store(bucket: Any, tmp_path: Path) -> Callable[..., BlobStore]:
    """A store over the bucket as a machine of this name has it."""

    def opened(machine: str = "here", url: str = bucket.url, **other: Any) -> BlobStore:
        limit = other.pop("cache_mib", None)
        known = {
            "endpoint_url": bucket.endpoint_url,
            "access_key_id": bucket.access_key_id,
            "secret_access_key": bucket.secret_access_key,
        }
        access = BucketAccess(**{**known, **other})
        return BlobStore.open(url, cache=tmp_path / machine, cache_mib=limit, access=[access])

    return opened


def objects(bucket: Any) -> list[Path]:
    """What others see in the bucket."""
    return [path for path in bucket.folder.rglob("*") if path.is_file()]


def copies(store: BlobStore) -> set[str]:
    return {f"sha256:{path.name}" for path in store.root.glob("??/*")}


async def test_another_machine_gets_a_copy_and_keeps_it(
    open_store: Callable[..., BlobStore], bucket: Any
) -> None:
    blob = await open_store().put_bytes(b"hello")
    there = open_store("there")
    path = await there.local_path(blob.sha256)
    assert path.is_relative_to(there.root) and path.read_bytes() == b"hello"
    (found,) = objects(bucket)
    found.unlink()
    assert await there.local_path(blob.sha256) == path


async def test_a_copy_that_is_not_what_its_hash_says_is_never_handed_out(
    open_store: Callable[..., BlobStore], bucket: Any
) -> None:
    blob = await open_store().put_bytes(b"hello")
    (found,) = objects(bucket)
    found.write_bytes(b"hellO")
    there = open_store("there")
    with pytest.raises(Upstream) as error:
        await there.local_path(blob.sha256)
    assert error.value.code == "blobs.damaged"
    assert [path for path in there.root.rglob("*") if path.is_file() and path.name != "lock"] == []
    await open_store().put_bytes(b"hello")
    assert (await there.local_path(blob.sha256)).read_bytes() == b"hello"


async def test_copies_stay_below_their_limit_and_the_oldest_go_first(
    open_store: Callable[..., BlobStore],
) -> None:
    store = open_store(cache_mib=2)
    put = []
    for number in range(3):
        blob = await store.put_bytes(bytes([number]) * 700_000)
        request = time.time() - 86_400 + number
        os.utime(store.root / blob.sha256[7:9] / blob.sha256[7:], (request, request))
        put.append(blob.sha256)
    # The oldest is asked for again, and so is the youngest now.
    await store.local_path(put[0])
    put.append((await store.put_bytes(b"x" * 700_000)).sha256)
    assert copies(store) == {put[0], put[3]} | ({put[2]} & copies(store))
    assert put[1] not in copies(store)
    # What went is only a copy.
    assert await store.exists(put[1])
    assert len((await store.local_path(put[1])).read_bytes()) == 700_000


async def test_copies_that_somebody_may_be_reading_are_spared(open_store: Callable[..., BlobStore]) -> None:
    store = open_store(cache_mib=1)
    put = {(await store.put_bytes(bytes([number]) * 700_000)).sha256 for number in range(3)}
    assert copies(store) == put


async def test_copies_of_an_earlier_start_count_as_well(open_store: Callable[..., BlobStore]) -> None:
    earlier = open_store()
    old = [(await earlier.put_bytes(bytes([number]) * 700_000)).sha256 for number in range(3)]
    for sha256 in old:
        os.utime(earlier.root / sha256[7:9] / sha256[7:], (1, 1))
    store = open_store(cache_mib=1)
    new = (await store.put_bytes(b"x" * 700_000)).sha256
    assert copies(store) == {new}


async def code_of(doing: Any) -> str:
    with pytest.raises(SoundstageError) as error:
        await doing
    assert error.value.hint
    assert error.value.status in (502, 503)
    return error.value.code


async def each_door(opened: Callable[[], BlobStore]) -> set[str]:
    """The codes of all that can be asked, each by a store that has not asked before."""

    async def listed() -> None:
        async for _ in opened().iterate():
            pass

    request = [
        opened().put_bytes(b"hello"),
        opened().read(NO_SUCH),
        opened().local_path(NO_SUCH),
        opened().exists(NO_SUCH),
        opened().delete(NO_SUCH),
        opened().usage_bytes(),
        listed(),
    ]
    return {await code_of(one) for one in request}


async def test_a_wrong_secret_an_unknown_user_and_a_missing_bucket_are_told_apart(
    open_store: Callable[..., BlobStore],
) -> None:
    assert await each_door(lambda: open_store(secret_access_key="wrong")) == {"blobs.access_denied"}
    assert await each_door(lambda: open_store(access_key_id="nobody")) == {"blobs.access_denied"}
    assert await each_door(lambda: open_store(url="s3://no-such-bucket/x")) == {"blobs.no_bucket"}


async def test_a_server_that_is_gone_is_told_and_works_again_when_it_is_back(
    open_store: Callable[..., BlobStore], s3: Any
) -> None:
    store = open_store()
    blob = await store.put_bytes(b"hello")
    s3.stop()
    try:
        codes = await asyncio.gather(
            code_of(store.put_bytes(b"other")),
            code_of(store.read(blob.sha256)),
            code_of(store.exists(blob.sha256)),
            code_of(open_store("there").local_path(blob.sha256)),
        )
        # A copy needs no server.
        assert (await store.local_path(blob.sha256)).read_bytes() == b"hello"
    finally:
        s3.start()
    assert set(codes) == {"blobs.unreachable"}
    assert await store.read(blob.sha256) == b"hello"
    assert (await store.put_bytes(b"other")).bytes == 5
    assert list((store.root / ".staging").glob("*.part")) == []


async def test_a_bucket_that_vanishes_later_is_not_taken_for_missing_blobs(
    open_store: Callable[..., BlobStore], bucket: Any
) -> None:
    store = open_store()
    blob = await store.put_bytes(b"hello")
    top = bucket.folder.parents[1]
    top.rename(top.with_name(f"{top.name}-away"))
    assert await code_of(store.put_bytes(b"other")) == "blobs.no_bucket"
    assert await code_of(store.read(blob.sha256)) == "blobs.no_bucket"


@pytest.fixture
def small_disk(bucket: Any) -> Iterator[Path]:
    """The bucket is on a disk of 2 MiB."""
    disk: Path = bucket.folder.parents[1]
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.root
async def test_a_server_whose_disk_is_full_is_named_and_works_again_when_there_is_room(
    open_store: Callable[..., BlobStore], bucket: Any, small_disk: Path
) -> None:
    store = open_store()
    blob = await store.put_bytes(b"hello")
    with pytest.raises(StorageFull) as error:
        await store.put_bytes(os.urandom(3 * MIB))
    assert error.value.code == "blobs.bucket_full"
    assert [path.read_bytes() for path in objects(bucket)] == [b"hello"], "nothing is half-written"
    larger = ["mount", "-o", "remount,size=64m", str(small_disk)]
    assert await (await asyncio.create_subprocess_exec(*larger)).wait() == 0
    assert (await store.put_bytes(os.urandom(3 * MIB))).bytes == 3 * MIB
    assert await store.read(blob.sha256) == b"hello"


def test_secrets_show_nowhere(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    settings = load_settings(
        None,
        {
            "SOUNDSTAGE_BLOBS__URL": "s3://bucket/prefix",
            "SOUNDSTAGE_BLOBS__ENDPOINT_URL": "http://127.0.0.1:9",
            "SOUNDSTAGE_BLOBS__ACCESS_KEY_ID": "me",
            "SOUNDSTAGE_BLOBS__SECRET_KEY_FILE": str(tmp_path / "secret"),
        },
    )
    access = BucketAccess.of(settings.blobs)
    assert (access.access_key_id, access.secret_access_key) == ("me", "hunter2")
    assert "hunter2" not in f"{access!r} {settings!r} {settings.mask_secrets()}"


async def test_the_usual_variables_say_who_we_are(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, bucket.environment[name])
    store = BlobStore.open(bucket.url, cache=tmp_path / "copies")
    assert await store.read((await store.put_bytes(b"hello")).sha256) == b"hello"


async def started(program: Path, *arguments: object, **options: Any) -> asyncio.subprocess.Process:
    command = (sys.executable, str(program), *map(str, arguments))
    return await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, **options)


async def test_processes_that_put_the_same_content_do_not_disturb_each_other(
    bucket: Any, open_store: Callable[..., BlobStore], programs: Path, tmp_path: Path
) -> None:
    running = [
        await started(programs / "put_blobs.py", bucket.url, tmp_path / name, 10, env=bucket.environment)
        for name in ("one", "one", "two")
    ]
    assert [await process.wait() for process in running] == [0, 0, 0]
    store = open_store()
    found = [blob.sha256 async for blob in store.iterate()]
    assert len(found) == len(objects(bucket)) == 10
    assert all([await store.verify(sha256) for sha256 in found])


async def test_a_big_file_goes_up_in_parts_and_never_lies_in_memory(
    bucket: Any, programs: Path, tmp_path: Path
) -> None:
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(160 * MIB)
    process = await started(
        programs / "put_file.py", bucket.url, tmp_path / "copies", big, env=bucket.environment
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    assert int(output) < 100
    assert max(path.stat().st_size for path in objects(bucket)) == 160 * MIB


@asynccontextmanager
async def narrow_line(port: int, budgets: list[int]) -> AsyncIterator[str]:
    """A way to the server whose n-th connection stops after `budgets[n]` bytes up; later ones are whole.

    A budget of 0 or more ends in silence; a negative one cuts the connection.
    """
    left = list(budgets)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        budget = left.pop(0) if left else None
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, limit: int | None) -> None:
            passed = 0
            while data := await source.read(65_536):
                passed += len(data)
                if limit is not None and passed > abs(limit):
                    if limit < 0:
                        return
                    await asyncio.sleep(3600)
                sink.write(data)
                await sink.drain()

        pumps = {
            asyncio.create_task(pump(reader, up_writer, budget)),
            asyncio.create_task(pump(up_reader, writer, None)),
        }
        try:
            _, pending = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
        finally:
            writer.close()
            up_writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_a_process_that_is_killed_in_an_upload_leaves_nothing_to_be_seen(
    bucket: Any, s3: Any, open_store: Callable[..., BlobStore], programs: Path, tmp_path: Path
) -> None:
    content = os.urandom(MIB) * 20
    (tmp_path / "film").write_bytes(content)
    # Enough for the first small blob and the last part (4 MiB), but for neither of the other two (8 MiB).
    async with narrow_line(s3.port, [7 * MIB] * 20) as endpoint_url:
        environment = {**bucket.environment, "AWS_ENDPOINT_URL": endpoint_url}
        process = await started(
            programs / "put_file.py", bucket.url, tmp_path / "here", tmp_path / "film", env=environment
        )
        parts = bucket.folder.parents[1] / ".sgwtmp" / "multipart"
        async with asyncio.timeout(60):
            # At least one part has arrived.
            while not any(path.is_file() for path in parts.rglob("*")):  # noqa: ASYNC110 - the server's folder
                await asyncio.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    store = open_store()
    assert [blob.bytes async for blob in store.iterate()] == [len(b"the first one")]
    assert list((store.root / ".staging").glob("*.part")) == []
    blob = await store.put_file(tmp_path / "film")
    assert await store.verify(blob.sha256)


async def test_a_line_that_breaks_a_few_times_does_not_end_an_upload(
    s3: Any, open_store: Callable[..., BlobStore], tmp_path: Path
) -> None:
    (tmp_path / "film").write_bytes(os.urandom(MIB) * 10)
    async with narrow_line(s3.port, [-MIB, -MIB, -2 * MIB]) as endpoint_url:
        blob = await open_store(endpoint_url=endpoint_url).put_file(tmp_path / "film")
    there = open_store("there")
    assert (await there.local_path(blob.sha256)).stat().st_size == 10 * MIB


async def test_what_is_missing_is_told_apart_from_what_is_wrong(open_store: Callable[..., BlobStore]) -> None:
    store = open_store()
    with pytest.raises(NotFound) as error:
        await store.local_path(NO_SUCH)
    assert error.value.code == "blob.not_found"
