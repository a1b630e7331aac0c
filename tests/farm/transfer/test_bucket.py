"""Files of a worker that go straight to and from the bucket of the studio, past the control plane."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from avatar.spec import Finished, OutputFile
from avatar.spec.work import WorkEnd, WorkReport
from avatar.work.control import Control, Refused
from metric_values import metric_value

from farm.tasks import TaskInput
from farm.transfer.orders import order_of
from soundstage.blobs import BlobStore, BucketAccess
from soundstage.blobs.addresses import SignedAddresses, SignedUpload

PICTURE = b"a picture of somebody"
VIDEO = b"a finished segment"
VIDEO_HASH = "sha256:" + hashlib.sha256(VIDEO).hexdigest()


@pytest.fixture
def bucket(s3: Any) -> Any:
    return s3.bucket()


@pytest.fixture
def blobs(bucket: Any, tmp_path: Path) -> BlobStore:
    access = BucketAccess(bucket.endpoint_url, None, bucket.access_key_id, bucket.secret_access_key)
    return BlobStore.open(bucket.url, cache=tmp_path / "copies", access=[access], signed_urls=True)


def ways(direction: str) -> dict[str, float]:
    """Files of workers so far, by the way that they took."""
    return {way: metric_value("farm_files", direction=direction, way=way) for way in ("bucket", "control")}


@pytest.fixture
async def worker(control: Any, make_task: Any) -> AsyncIterator[Callable[..., Any]]:
    """The worker's end of a task with one input."""
    opened: list[Control] = []

    async def open_worker(picture: str) -> Control:
        task = await make_task("a", inputs=(TaskInput(picture, "picture"),))
        order = await order_of(task, control.blobs, grace_s=1, upload_timeout_s=1)
        token = await control.transfer.issue(task, order, "job-a", 60)
        opened.append(Control([control.url], "a", token, run="r", stop=threading.Event()))
        return opened[-1]

    yield open_worker
    for one in opened:
        one.close()


async def fetch(worker: Control, sha256: str) -> bytes:
    parts: list[bytes] = []

    def attempt() -> None:
        parts.clear()
        worker.fetch(sha256, parts.append)

    await asyncio.to_thread(worker.retry, attempt, 10)
    return b"".join(parts)


async def put(worker: Control, folder: Path) -> None:
    (folder / "segment.mp4").write_bytes(VIDEO)
    await asyncio.to_thread(worker.put, VIDEO_HASH, folder / "segment.mp4", "video/mp4", 10)


async def report_end(worker: Control) -> None:
    file = OutputFile(
        role="segment", path="out/segment.mp4", sha256=VIDEO_HASH, bytes=len(VIDEO), media_type="video/mp4"
    )
    result = Finished(event="result", files=(file,), duration_ms=1, frames=1)
    await asyncio.to_thread(worker.report, WorkReport(run="r", seq=1, end=WorkEnd(result=result)), 10)


async def test_files_of_a_worker_do_not_pass_through_the_control_plane(
    control: Any, worker: Callable[..., Any], tmp_path: Path
) -> None:
    picture = await control.blobs.put_bytes(PICTURE)
    one = await worker(picture.sha256)
    assert await fetch(one, picture.sha256) == PICTURE
    await put(one, tmp_path)
    await report_end(one)
    assert ways("input") == ways("output") == {"bucket": 1, "control": 0}
    assert await control.blobs.read(VIDEO_HASH) == VIDEO
    assert (await control.transfer.end_of("a")).result.files[0].sha256 == VIDEO_HASH


async def test_a_bucket_that_the_node_cannot_reach_is_left_alone(
    control: Any,
    worker: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    picture = await control.blobs.put_bytes(PICTURE)
    with socket.create_server(("127.0.0.1", 0)) as free:
        nowhere = f"http://127.0.0.1:{free.getsockname()[1]}/x"
    monkeypatch.setattr(SignedAddresses, "download", lambda *_: nowhere)
    monkeypatch.setattr(SignedAddresses, "upload", lambda *_: SignedUpload(nowhere, {}))
    one = await worker(picture.sha256)
    assert await fetch(one, picture.sha256) == PICTURE
    await put(one, tmp_path)
    await report_end(one)
    assert ways("input") == {"bucket": 1, "control": 1}
    assert ways("output") == {"bucket": 0, "control": 1}
    assert (await control.transfer.end_of("a")).result is not None


async def test_an_output_with_an_address_that_nothing_was_put_to_is_missing(
    control: Any, worker: Callable[..., Any], tmp_path: Path
) -> None:
    picture = await control.blobs.put_bytes(PICTURE)
    one = await worker(picture.sha256)
    assert (await control.transfer.output_address("a", VIDEO_HASH, len(VIDEO), 1 << 20)).url is not None
    with pytest.raises(Refused) as refused:
        await report_end(one)
    assert refused.value.code == "transfer.outputs_missing"


async def test_what_is_stored_already_is_shown_to_be_the_workers_own(
    control: Any, worker: Callable[..., Any], tmp_path: Path
) -> None:
    """Else a worker that knows a hash could name somebody's file as its output."""
    picture = await control.blobs.put_bytes(PICTURE)
    await control.blobs.put_bytes(VIDEO)
    one = await worker(picture.sha256)
    with pytest.raises(Refused) as refused:
        await report_end(one)
    assert refused.value.code == "transfer.outputs_missing"
    await put(one, tmp_path)
    await report_end(one)
    assert ways("output") == {"bucket": 0, "control": 1}


async def test_a_file_above_the_limit_gets_no_address(control: Any) -> None:
    assert (await control.transfer.output_address("a", VIDEO_HASH, 2 << 20, 1 << 20)).url is None
