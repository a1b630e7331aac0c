"""A farm replaces the authority of its S3 server under running workers, which go on at the bucket."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import s3_server
from avatar.work.control import Control
from metric_values import metric_value
from s3_authorities import new as new
from s3_authorities import old as old
from s3_authorities import replace, show
from s3_authorities import server as server
from tls_authorities import Authority

from farm.tasks import TaskInput
from farm.transfer.orders import order_of
from soundstage.blobs import BlobStore, BucketAccess

PICTURES = (b"a picture of somebody", b"a picture of the sea")


@pytest.fixture
def blobs(server: s3_server.S3Server, old: Authority, new: Authority, tmp_path: Path) -> BlobStore:
    """The studio's, which trusts both authorities all the time."""
    trusted = tmp_path / "studio.pem"
    trusted.write_text(old.pem + new.pem)
    bucket = server.bucket()
    access = BucketAccess(
        bucket.endpoint_url, None, bucket.access_key_id, bucket.secret_access_key, ca_file=trusted
    )
    return BlobStore.open(bucket.url, cache=tmp_path / "copies", access=[access], signed_urls=True)


@pytest.fixture
def ca_file(tmp_path: Path, old: Authority, request: pytest.FixtureRequest) -> Path:
    """The worker's, which trusts the old authority at its start; by parameter another text, or no file."""
    file = tmp_path / "ca.pem"
    content: str | None = getattr(request, "param", old.pem)
    if content is not None:
        file.write_text(content)
    return file


class Worker:
    """The worker's end of a task that runs through a whole test."""

    def __init__(self, control: Control, blobs: BlobStore, folder: Path) -> None:
        self._control, self._blobs, self._folder = control, blobs, folder

    async def fetch(self, content: bytes) -> str:
        """Fetches an input, and returns the way that it took."""
        parts: list[bytes] = []

        def attempt() -> None:
            parts.clear()
            self._control.fetch(sha256_of(content), parts.append)

        before = through_control("input")
        await asyncio.to_thread(self._control.retry, attempt, 10)
        assert b"".join(parts) == content
        return "bucket" if through_control("input") == before else "control"

    async def put(self, content: bytes) -> str:
        """Uploads a file, and returns the way that it took."""
        file, sha256 = self._folder / "segment.mp4", sha256_of(content)
        file.write_bytes(content)
        before = through_control("output")
        await asyncio.to_thread(self._control.put, sha256, file, "video/mp4", 10)
        assert await self._blobs.complete_upload(sha256) is not None
        return "bucket" if through_control("output") == before else "control"


def sha256_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def through_control(direction: str) -> float:
    """Counts the files of workers that have passed through the control plane."""
    return metric_value("farm_files", direction=direction, way="control")


@pytest.fixture
async def worker(
    control: Any, make_task: Callable[..., Any], ca_file: Path, tmp_path: Path
) -> AsyncIterator[Worker]:
    pictures = [await control.blobs.put_bytes(content) for content in PICTURES]
    task = await make_task("a", inputs=[TaskInput(one.sha256, "picture") for one in pictures])
    order = await order_of(task, control.blobs, grace_s=1, upload_timeout_s=1)
    token = await control.transfer.issue(task, order, "job-a", 60)
    one = Control([control.url], "a", token, run="r", stop=threading.Event(), ca_file=ca_file)
    yield Worker(one, control.blobs, tmp_path)
    one.close()


async def test_a_running_worker_stays_at_the_bucket_while_its_authority_is_replaced(
    worker: Worker, server: s3_server.S3Server, ca_file: Path, old: Authority, new: Authority
) -> None:
    assert (await worker.fetch(PICTURES[0]), await worker.put(b"before")) == ("bucket", "bucket")
    replace(ca_file, old.pem + new.pem)
    assert await worker.put(b"during") == "bucket"
    show(server, new)
    assert (await worker.fetch(PICTURES[1]), await worker.put(b"after")) == ("bucket", "bucket")
    replace(ca_file, new.pem)
    assert await worker.put(b"at the end") == "bucket"


async def test_a_running_worker_trusts_a_replaced_authority_no_more(
    worker: Worker, ca_file: Path, new: Authority
) -> None:
    assert await worker.put(b"before") == "bucket"
    replace(ca_file, new.pem)
    assert (await worker.put(b"after"), await worker.fetch(PICTURES[0])) == ("control", "control")


async def test_a_worker_that_left_the_bucket_alone_returns_to_it_when_the_authority_arrives(
    worker: Worker, server: s3_server.S3Server, ca_file: Path, new: Authority
) -> None:
    show(server, new)
    assert (await worker.fetch(PICTURES[0]), await worker.put(b"late")) == ("control", "control")
    replace(ca_file, new.pem)
    assert (await worker.fetch(PICTURES[1]), await worker.put(b"in time")) == ("bucket", "bucket")


@pytest.mark.parametrize("damage", ["", "no certificate"])
async def test_a_damaged_file_leaves_the_former_authority_in_use(
    worker: Worker, ca_file: Path, damage: str
) -> None:
    assert await worker.put(b"before") == "bucket"
    replace(ca_file, damage)
    assert await worker.put(b"after") == "bucket"


@pytest.mark.parametrize("ca_file", [None, "no certificate"], indirect=True)
async def test_without_an_authority_files_pass_through_the_control_plane(worker: Worker) -> None:
    assert (await worker.fetch(PICTURES[0]), await worker.put(b"a segment")) == ("control", "control")
