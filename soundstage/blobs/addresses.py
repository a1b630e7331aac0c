"""Signs addresses at which a machine without credentials reads or writes one blob of a bucket.

obstore signs addresses, but no headers: an upload is signed here, with the checksum of its content, or else
an address would let other content be put under the key of a blob.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import quote, urlencode, urlsplit

import httpx
import obstore
from obstore.exceptions import BaseError

from soundstage.blobs.bucket import BucketAccess, BucketConnection, bucket_error
from soundstage.blobs.schemas import key_of
from soundstage.http.internal import open_blocking_client
from soundstage.http.tls_files import tls_context
from soundstage.telemetry import get_logger

if TYPE_CHECKING:
    # A type alone: it does not exist when the program runs.
    from obstore.store import S3Store

PROBE_KEY = ".soundstage-checksum-probe"
PROBE_TIMEOUT_S = 10.0

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SignedUpload:
    """Names where one file is put, and the headers of the PUT: they are part of the signature."""

    url: str = field(repr=False)
    headers: dict[str, str]


class SignedAddresses:
    """Addresses in one bucket. Thread-safe, and blocking: credentials may have to be fetched."""

    def __init__(
        self, bucket: BucketConnection, signer: UploadSigner | None, ca_file: Path | None = None
    ) -> None:
        self._bucket = bucket
        self._signer = signer
        self._ca_file = ca_file
        self._lock = threading.Lock()
        self._compares_checksums: bool | None = None

    @classmethod
    def of(cls, bucket: BucketConnection, url: str, access: BucketAccess) -> SignedAddresses:
        """Returns those of `s3://bucket/prefix`. Without a key pair in `access` or the usual variables there
        are none for uploads: the temporary credentials of a machine's role are known to obstore alone.
        """
        key_id = access.access_key_id or os.environ.get("AWS_ACCESS_KEY_ID")
        secret = access.secret_access_key or os.environ.get("AWS_SECRET_ACCESS_KEY")
        temporary = access.access_key_id is None and "AWS_SESSION_TOKEN" in os.environ
        if not key_id or not secret or temporary:
            return cls(bucket, None)
        parts = urlsplit(url)
        region = access.region or os.environ.get("AWS_REGION") or "us-east-1"
        base = f"https://{parts.netloc}.s3.{region}.amazonaws.com"
        if (endpoint := access.endpoint()) is not None:
            base = f"{endpoint}/{parts.netloc}"
        signer = UploadSigner(base + parts.path.rstrip("/"), region, key_id, secret)
        return cls(bucket, signer, access.ca_file)

    def download(self, digits: str, expires_s: int) -> str:
        """Returns an address that answers GET with the blob."""
        try:
            bucket = cast("S3Store", self._bucket.store())
            return str(obstore.sign(bucket, "GET", key_of(digits), timedelta(seconds=expires_s)))
        except BaseError as error:
            raise bucket_error(error) from error

    def upload(self, digits: str, size: int, expires_s: int) -> SignedUpload | None:
        """Returns an address that takes this content and no other; None where that cannot be had."""
        if self._signer is None or not self._compares(self._signer):
            return None
        return self._signer.sign(key_of(digits), bytes.fromhex(digits), size, expires_s)

    def _compares(self, signer: UploadSigner) -> bool:
        """Returns whether the S3 server refuses content that is not that of its checksum; tried once."""
        with self._lock:
            if self._compares_checksums is None:
                self._compares_checksums = self._try(signer)
            return bool(self._compares_checksums)

    def _try(self, signer: UploadSigner) -> bool | None:
        probe = signer.sign(PROBE_KEY, hashlib.sha256(b"a").digest(), 1, 60)
        try:
            tls = tls_context()
            if self._ca_file is not None:
                tls.load_verify_locations(self._ca_file)
            with open_blocking_client(timeout=PROBE_TIMEOUT_S, tls=tls) as client:
                status = client.put(probe.url, content=b"b", headers=probe.headers).status_code
            if status == httpx.codes.OK:
                obstore.delete(self._bucket.store(), PROBE_KEY)
        except (httpx.HTTPError, BaseError, OSError) as error:
            # Tried again with the next upload.
            log.warning("blobs.checksums_not_tried", error=type(error).__name__)
            return None
        if status != httpx.codes.BAD_REQUEST:
            log.warning("blobs.checksums_ignored", status=status)
        return status == httpx.codes.BAD_REQUEST


@dataclass(frozen=True, slots=True)
class UploadSigner:
    """Presigns PUT requests: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html

    `bucket_url` is the bucket's address with its prefix, e.g. `https://s3.example/bucket/prefix`.
    """

    bucket_url: str
    region: str
    access_key_id: str
    secret_access_key: str = field(repr=False)

    def sign(
        self, key: str, digest: bytes, size: int, expires_s: int, *, now: datetime | None = None
    ) -> SignedUpload:
        """Returns an address below the prefix that takes `size` bytes with this SHA-256 (32 bytes)."""
        base = urlsplit(self.bucket_url)
        path = quote(f"{base.path.rstrip('/')}/{key}")
        checksum = base64.b64encode(digest).decode("ascii")
        headers = {"content-length": str(size), "x-amz-checksum-sha256": checksum}
        signed = {"host": base.netloc, **headers}
        query = self._query("PUT", path, signed, expires_s, now or datetime.now(UTC))
        return SignedUpload(f"{base.scheme}://{base.netloc}{path}?{query}", headers)

    def _query(self, method: str, path: str, headers: dict[str, str], expires_s: int, now: datetime) -> str:
        """Returns the query with its signature. `headers`: those that are signed, in lower case."""
        moment = now.strftime("%Y%m%dT%H%M%SZ")
        scope = f"{moment[:8]}/{self.region}/s3/aws4_request"
        names = ";".join(sorted(headers))
        query = urlencode(
            {
                "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
                "X-Amz-Credential": f"{self.access_key_id}/{scope}",
                "X-Amz-Date": moment,
                "X-Amz-Expires": str(expires_s),
                "X-Amz-SignedHeaders": names,
            },
            quote_via=quote,
            safe="",
        )
        lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        request = "\n".join((method, path, query, lines, names, "UNSIGNED-PAYLOAD"))
        hashed = hashlib.sha256(request.encode()).hexdigest()
        key = f"AWS4{self.secret_access_key}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashed}"
        return f"{query}&X-Amz-Signature={hmac.digest(key, text.encode(), 'sha256').hex()}"
