"""The bucket behind a blob store (S3, or what speaks like it): opened, asked, and its refusals explained."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from cryptography import x509
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import ObjectStore, from_url

from soundstage.errors import Invalid, SoundstageError, StorageFull, Unavailable, Upstream
from soundstage.http.tls_files import FileState, file_state
from soundstage.settings.sections import BlobSettings
from soundstage.telemetry import get_logger

if TYPE_CHECKING:
    # Types alone: they do not exist when the program runs.
    from obstore.store import ClientConfig, RetryConfig, S3Config

# Files above one part go up in parts, of which a few are in memory at a time. S3 takes at most 10 000 parts.
PART_BYTES = 8 << 20
PARTS_AT_ONCE = 4

_CLIENT: ClientConfig = {
    "connect_timeout": "5s",
    # Silence, not size, is what ends a transfer: the other limit counts from the first byte to the last.
    "read_timeout": "30s",
    "timeout": "1d",
}
_RETRY: RetryConfig = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=30),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=5),
        "base": 2,
    },
}
_HASTY_CLIENT: ClientConfig = {**_CLIENT, "connect_timeout": "2s", "read_timeout": "10s"}
_HASTY_RETRY: RetryConfig = {**_RETRY, "max_retries": 1, "retry_timeout": timedelta(seconds=5)}

log = get_logger(__name__)

# How S3 names its refusals: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_REFUSED = frozenset(
    {
        "AccessDenied",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "XAdminUserNotFound",
    }
)

_UNREACHABLE = "blobs.unreachable"

# Of versitygw (both), Ceph and MinIO; a full disk is no error of Amazon's.
_FULL = frozenset({"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull"})


@dataclass(frozen=True, slots=True)
class BucketAccess:
    """Address and credentials of an S3 server; missing fields come from the usual AWS_* variables. `ca_file`:
    authorities that sign its certificate, beside those of the system.
    """

    endpoint_url: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    ca_file: Path | None = None

    @classmethod
    def of(cls, settings: BlobSettings) -> BucketAccess:
        """Returns what the settings say; Unavailable when the file of the secret cannot be read."""
        return cls(
            endpoint_url=None if settings.endpoint_url is None else str(settings.endpoint_url),
            region=settings.region,
            access_key_id=settings.access_key_id,
            secret_access_key=settings.secret_key(),
            ca_file=settings.ca_file,
        )

    @classmethod
    def of_all(cls, settings: BlobSettings) -> tuple[BucketAccess, ...]:
        """Returns one for each S3 server of the settings, `endpoint_url` first."""
        first = cls.of(settings)
        return (first, *(replace(first, endpoint_url=str(url)) for url in settings.replica_endpoint_urls))

    def endpoint(self) -> str | None:
        """Returns the URL of the server; None means Amazon's."""
        usual = os.environ.get("AWS_ENDPOINT_URL_S3", os.environ.get("AWS_ENDPOINT_URL"))
        named = self.endpoint_url or usual
        return None if named is None else named.rstrip("/")


class BucketConnection:
    """Opens the store of one S3 server, and again when the file of its authorities has changed: a farm that
    replaces its authority writes a new one under running processes. Thread-safe.
    """

    def __init__(self, url: str, access: BucketAccess, *, of_several: bool = False) -> None:
        """Opens it; nothing is asked yet. Raises Invalid for a URL it cannot use, and Unavailable when the
        file cannot be read. `of_several`: others hold the same, so that one which does not answer is given up
        soon.
        """
        self._url, self._access, self._of_several = url, access, of_several
        self._lock = threading.Lock()
        self._state = self._file_state()
        self._store = _open_bucket(url, access, of_several=of_several)

    def store(self) -> ObjectStore:
        """Returns what trusts the authorities that are in the file now, or the former ones while it cannot be
        read.
        """
        with self._lock:
            if (state := self._file_state()) != self._state:
                try:
                    self._store = _open_bucket(self._url, self._access, of_several=self._of_several)
                except SoundstageError as error:
                    log.warning("blobs.ca_not_read_again", error=error.code)
                else:
                    self._state = state
            return self._store

    def _file_state(self) -> FileState:
        return None if self._access.ca_file is None else file_state(self._access.ca_file)


def _open_bucket(url: str, access: BucketAccess, *, of_several: bool) -> ObjectStore:
    client, retry = (_HASTY_CLIENT, _HASTY_RETRY) if of_several else (_CLIENT, _RETRY)
    if not url.startswith("s3://"):
        return _opened(url)
    config: S3Config = {}
    endpoint = access.endpoint()
    if endpoint is not None:
        config["endpoint"] = endpoint
    if access.region is not None:
        config["region"] = access.region
    if access.access_key_id is not None:
        config["access_key_id"] = access.access_key_id
    if access.secret_access_key is not None:
        config["secret_access_key"] = access.secret_access_key
    # Plain HTTP only where the operator wrote it.
    allow_http = endpoint is not None and endpoint.startswith("http://")
    client = {**client, "allow_http": allow_http}
    if access.ca_file is not None:
        client["root_certificate"] = _authorities(access.ca_file)
    return _opened(url, config, client, retry)


def _authorities(file: Path) -> bytes:
    try:
        content = file.read_bytes()
        x509.load_pem_x509_certificates(content)
    except (OSError, ValueError) as error:
        raise Unavailable(
            "blobs.ca_unreadable",
            f"No certificates can be read from {file}.",
            "Check `blobs.ca_file`: PEM, readable for the user who runs soundstage.",
        ) from error
    return content


def upload(bucket: ObjectStore, key: str, path: Path) -> None:
    """Puts a file of any size; others see the whole object or none. Blocking."""
    obstore.put(bucket, key, path, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE)


def names_no_object(error: FileNotFoundError) -> bool:
    """Returns whether it is the object that is missing, and not the bucket or the user."""
    code = _CODE.search(str(error))
    return code is None or code.group(1) == "NoSuchKey"


def is_unreachable(error: BaseError) -> bool:
    """Returns whether the server does not answer at all."""
    return bucket_error(error).code == _UNREACHABLE


def bucket_error(error: BaseError | FileNotFoundError) -> SoundstageError:
    """Returns what the server said, as an error that a person can act on. Its own words, with keys, are left
    out.
    """
    text = str(error)
    code_found, status_found = _CODE.search(text), _STATUS.search(text)
    code = code_found.group(1) if code_found else ""
    status = status_found.group(1) if status_found else ""
    if code == "NoSuchBucket":
        return Unavailable(
            "blobs.no_bucket",
            "The S3 server has no such bucket.",
            "Make it, or check the name in `blobs.url`.",
        )
    if code in _FULL or status == "507":
        return StorageFull(
            "blobs.bucket_full",
            "The S3 server has no space left for files.",
            "Free some space there; `soundstage gc` removes files that nothing refers to.",
        )
    denied = isinstance(error, PermissionDeniedError | UnauthenticatedError) or status in ("401", "403")
    if denied or code in _REFUSED:
        return Unavailable(
            "blobs.access_denied",
            f"The S3 server refuses us{f' ({code})' if code else ''}.",
            "Check `blobs.access_key_id`, its secret, and what this user may do in the bucket.",
        )
    if not status:
        return Unavailable(
            _UNREACHABLE,
            "The S3 server does not answer.",
            "Check `blobs.endpoint_url` and that the server runs; then try again.",
        )
    return Upstream(
        "blobs.bucket_failed",
        f"The S3 server did not do as asked: {code or f'status {status}'}.",
        "See its log; trying again may help.",
    )


@contextmanager
def bucket_errors() -> Iterator[None]:
    """Raises what obstore raises in the block as an error that a person can act on."""
    try:
        yield
    except (BaseError, FileNotFoundError) as error:
        raise bucket_error(error) from error


def bad_url() -> Invalid:
    """For a URL that names no store."""
    return Invalid(
        "blobs.url_invalid",
        "The URL of the blob store cannot be used.",
        "Write a folder, file:///absolute/path or s3://bucket/prefix.",
    )


def _opened(
    url: str,
    config: S3Config | None = None,
    client: ClientConfig | None = None,
    retry: RetryConfig | None = None,
) -> ObjectStore:
    try:
        if config is None:
            return from_url(url)
        return from_url(url, config=config, client_options=client, retry_config=retry)
    except (BaseError, ValueError) as error:
        raise bad_url() from error
