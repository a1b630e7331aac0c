"""Signed addresses in a bucket: what they open, and what they refuse."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from soundstage.blobs import BlobStore, BucketAccess
from soundstage.blobs.addresses import PROBE_KEY, SignedAddresses, UploadSigner
from soundstage.errors import StorageFull

CONTENT = b"a finished segment"
HASH = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def bucket(s3: Any) -> Any:
    return s3.bucket()


@pytest.fixture
def open_store(bucket: Any, tmp_path: Path) -> Callable[..., BlobStore]:
    access = BucketAccess(bucket.endpoint_url, None, bucket.access_key_id, bucket.secret_access_key)

    def open_it(**options: Any) -> BlobStore:
        options = {"access": [access], "signed_urls": True, **options}
        return BlobStore.open(bucket.url, cache=tmp_path / "copies", **options)

    return open_it


async def test_a_blob_is_read_and_written_without_credentials(open_store: Callable[..., BlobStore]) -> None:
    store = open_store()
    upload = await store.sign_upload(HASH, len(CONTENT), 60)
    assert upload is not None
    async with httpx.AsyncClient() as http:
        assert (await http.put(upload.url, content=CONTENT, headers=upload.headers)).status_code == 200
        assert await store.read(HASH) == CONTENT
        download = await store.sign_download(HASH, 60)
        assert download is not None
        assert (await http.get(download)).content == CONTENT
        assert (await http.get(download.replace(HASH[7:], "0" * 64))).status_code == 403
    assert await store.sign_upload(HASH, len(CONTENT), 60) is None


@pytest.mark.parametrize("change", ["content", "length", "checksum", "no checksum"])
async def test_no_other_content_is_taken_under_the_key_of_a_blob(
    open_store: Callable[..., BlobStore], change: str
) -> None:
    store = open_store()
    upload = await store.sign_upload(HASH, len(CONTENT), 60)
    assert upload is not None
    content, headers = CONTENT.swapcase(), dict(upload.headers)
    if change == "length":
        content, headers["content-length"] = CONTENT * 2, str(2 * len(CONTENT))
    elif change == "checksum":
        headers["x-amz-checksum-sha256"] = checksum_of(content)
    elif change == "no checksum":
        del headers["x-amz-checksum-sha256"]
    async with httpx.AsyncClient() as http:
        assert (await http.put(upload.url, content=content, headers=headers)).status_code in (400, 403)
    assert not await store.exists(HASH)


def checksum_of(content: bytes) -> str:
    signer = UploadSigner("https://s3.example/bucket", "us-east-1", "key", "secret")
    return signer.sign("key", hashlib.sha256(content).digest(), len(content), 1).headers[
        "x-amz-checksum-sha256"
    ]


async def test_an_address_ends_with_its_time(open_store: Callable[..., BlobStore], bucket: Any) -> None:
    name = urlsplit(bucket.url).netloc
    base = f"{bucket.endpoint_url}/{name}/some/where"
    signer = UploadSigner(base, "us-east-1", bucket.access_key_id, bucket.secret_access_key)
    digest = hashlib.sha256(CONTENT).digest()
    old = signer.sign("old", digest, len(CONTENT), 60, now=datetime(2026, 1, 1, tzinfo=UTC))
    async with httpx.AsyncClient() as http:
        assert (await http.put(old.url, content=CONTENT, headers=old.headers)).status_code == 403


async def test_a_server_that_ignores_checksums_gets_no_signed_uploads(
    open_store: Callable[..., BlobStore], bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign = UploadSigner.sign

    def without_checksum(self: UploadSigner, key: str, digest: bytes, *rest: Any, **more: Any) -> Any:
        # What such a server makes of the probe: content and checksum fit.
        return sign(self, key, hashlib.sha256(b"b").digest() if key == PROBE_KEY else digest, *rest, **more)

    monkeypatch.setattr(UploadSigner, "sign", without_checksum)
    store = open_store()
    assert await store.sign_upload(HASH, len(CONTENT), 60) is None
    assert not (bucket.folder / PROBE_KEY).exists()


async def test_the_quota_bounds_signed_uploads(open_store: Callable[..., BlobStore]) -> None:
    with pytest.raises(StorageFull):
        await open_store(quota_mib=1).sign_upload(HASH, 2 << 20, 60)


async def test_a_folder_and_an_operator_who_says_no_sign_nothing(
    open_store: Callable[..., BlobStore], tmp_path: Path
) -> None:
    for store in (open_store(signed_urls=False), BlobStore.open(tmp_path / "blobs", signed_urls=True)):
        await store.put_bytes(CONTENT)
        assert await store.sign_download(HASH, 60) is None
        assert await store.sign_upload("sha256:" + "1" * 64, 1, 60) is None


def test_a_signature_is_that_of_the_published_example() -> None:
    """The example of Amazon's page on query parameters: a GET, with the host alone signed."""
    signer = UploadSigner(
        "https://examplebucket.s3.amazonaws.com",
        "us-east-1",
        "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    )
    headers = {"host": "examplebucket.s3.amazonaws.com"}
    query = signer._query("GET", "/test.txt", headers, 86400, datetime(2013, 5, 24, tzinfo=UTC))
    expected = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    assert parse_qs(query)["X-Amz-Signature"] == [expected]


def test_an_address_shows_no_secret() -> None:
    signer = UploadSigner("https://s3.example/bucket", "us-east-1", "key", "the-secret")
    assert "the-secret" not in repr(signer) and "the-secret" not in signer.sign("k", b"0" * 32, 1, 1).url


def test_an_address_of_amazon_names_the_bucket_in_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    access = BucketAccess(None, "eu-central-1", "key", "secret")
    signer = SignedAddresses.of(None, "s3://studio/videos", access)._signer  # type: ignore[arg-type]
    assert signer is not None
    assert signer.bucket_url == "https://studio.s3.eu-central-1.amazonaws.com/videos"
