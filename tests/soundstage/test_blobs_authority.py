"""A farm replaces the authority of its S3 server under a running process, which goes on without a restart."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import s3_server
from s3_authorities import new as new
from s3_authorities import old as old
from s3_authorities import replace, show
from s3_authorities import server as server
from tls_authorities import Authority

from soundstage.blobs import BlobStore, BucketAccess
from soundstage.errors import SoundstageError, Unavailable
from soundstage.http import tls_context


@pytest.fixture
def ca_file(tmp_path: Path, old: Authority) -> Path:
    """The file of `blobs.ca_file`."""
    file = tmp_path / "ca.pem"
    file.write_text(old.pem)
    return file


@pytest.fixture
def store(server: s3_server.S3Server, ca_file: Path, tmp_path: Path) -> BlobStore:
    bucket = server.bucket()
    access = BucketAccess(
        bucket.endpoint_url, None, bucket.access_key_id, bucket.secret_access_key, ca_file=ca_file
    )
    # Two of the same: one that is not trusted is given up soon.
    return BlobStore.open(bucket.url, cache=tmp_path / "copies", access=[access, access], signed_urls=True)


async def test_a_running_process_trusts_the_new_authority_without_a_restart(
    store: BlobStore, server: s3_server.S3Server, ca_file: Path, old: Authority, new: Authority
) -> None:
    before = await store.put_bytes(b"before")
    replace(ca_file, old.pem + new.pem)
    during = await store.put_bytes(b"during")
    show(server, new)
    assert await store.read(before.sha256) == b"before"
    replace(ca_file, new.pem)
    after = await store.put_bytes(b"after")
    assert {blob.sha256 async for blob in store.iterate()} == {before.sha256, during.sha256, after.sha256}
    upload = await store.sign_upload(f"sha256:{'0' * 64}", 1, 60)
    assert upload is not None, "the probe of checksums trusts it as well"
    async with httpx.AsyncClient(verify=tls_context(ca_pem=new.pem), trust_env=False) as client:
        assert (await client.put(upload.url, content=b"b", headers=upload.headers)).status_code == 400


async def test_the_old_authority_is_trusted_no_more_when_the_file_has_the_new_one_alone(
    store: BlobStore, ca_file: Path, new: Authority
) -> None:
    await store.put_bytes(b"before")
    replace(ca_file, new.pem)
    with pytest.raises(SoundstageError) as caught:
        await store.put_bytes(b"after")
    assert caught.value.code == "blobs.unreachable"


async def test_a_file_that_is_damaged_later_leaves_the_former_authorities_in_use(
    store: BlobStore, ca_file: Path, old: Authority
) -> None:
    for text in ("", old.pem[:100]):
        replace(ca_file, text)
        blob = await store.put_bytes(b"well " + text.encode())
        assert await store.exists(blob.sha256)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_that_holds_no_certificate_is_refused_at_the_start(
    tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    access = BucketAccess("https://127.0.0.1:9", None, "key", "secret", ca_file=file)
    with pytest.raises(Unavailable) as caught:
        BlobStore.open("s3://bucket/some", cache=tmp_path / "copies", access=[access])
    assert caught.value.code == "blobs.ca_unreadable"
