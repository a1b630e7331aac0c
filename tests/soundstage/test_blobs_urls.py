"""The ways to name a blob store, and what is wrong with other ways."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from soundstage.blobs import BlobStore
from soundstage.errors import Invalid, NotFound, StorageFull, Unavailable

MIB = 1 << 20


async def test_a_root_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable) as error:
        BlobStore.open(tmp_path / "file" / "blobs")
    assert error.value.code == "blobs.unwritable"


async def test_a_folder_and_its_file_url_are_the_same_store(tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    blob = await BlobStore.open(str(folder)).put_bytes(b"x")
    assert await BlobStore.open(folder.as_uri()).exists(blob.sha256)


@pytest.mark.parametrize("url", ["file://elsewhere/blobs", "gopher://x/y", "s3://"])
def test_a_url_that_cannot_be_used_is_invalid(tmp_path: Path, url: str) -> None:
    with pytest.raises(Invalid) as error:
        BlobStore.open(url, cache=tmp_path)
    assert error.value.code == "blobs.url_invalid"


def test_a_bucket_needs_a_folder_for_its_copies() -> None:
    with pytest.raises(Invalid) as error:
        BlobStore.open("s3://bucket/prefix")
    assert error.value.code == "blobs.cache_missing"


async def test_a_bucket_keeps_the_same_promises(tmp_path: Path) -> None:
    # An object store of the same library that lives in memory; the calls are those that S3 gets.
    store = BlobStore.open("memory:///", cache=tmp_path / "copies", quota_mib=1)
    blob = await store.put_bytes(b"hello", "text/plain")
    assert blob.sha256 == "sha256:" + hashlib.sha256(b"hello").hexdigest()
    path = await store.local_path(blob.sha256)
    assert path.read_bytes() == b"hello"
    path.unlink()
    assert (await store.local_path(blob.sha256)).read_bytes() == b"hello"
    assert await store.read(blob.sha256) == b"hello"
    assert [found.sha256 async for found in store.iterate()] == [blob.sha256]
    with pytest.raises(StorageFull):
        await store.put_bytes(b"x" * MIB)
    assert await store.delete(blob.sha256) is True
    assert not path.exists()
    with pytest.raises(NotFound) as error:
        await store.local_path(blob.sha256)
    assert error.value.code == "blob.not_found"
