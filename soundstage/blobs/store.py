"""The blob store: every picture, sound and video of every room lies here under the hash of its content."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from obstore.exceptions import BaseError
from obstore.store import LocalStore

from soundstage.blobs.addresses import SignedAddresses, SignedUpload
from soundstage.blobs.bucket import (
    BucketAccess,
    BucketConnection,
    bad_url,
    bucket_error,
    bucket_errors,
    names_no_object,
)
from soundstage.blobs.copies import Copies
from soundstage.blobs.folder import BlobFolder
from soundstage.blobs.objects import BlobObjects
from soundstage.blobs.quota import MIB, Quota
from soundstage.blobs.replicas import READ_BYTES, Replicas
from soundstage.blobs.schemas import DEFAULT_MEDIA_TYPE, Blob, StoredBlob, is_key, key_of, parse_sha256
from soundstage.blobs.staging import (
    StagedFile,
    check_disk,
    create_staged_file,
    disk_errors,
    sweep,
)
from soundstage.errors import Invalid, NotFound, SoundstageError, Unavailable, Upstream


class BlobStore:
    """Content-addressed files: `ab/abcdef…` (64 hex digits) below a directory or a bucket.

    A blob is whole or not there: bytes go to a staging file, are flushed to the disk and then renamed, or
    uploaded and only then told of.
    Putting content that exists already costs no space and moves its `modified` forward, so that a collector
    with a grace period spares blobs that are about to be referenced.
    """

    def __init__(
        self,
        root: Path,
        buckets: Sequence[BucketConnection],
        copies: Copies,
        quota_bytes: int | None,
        addresses: Sequence[SignedAddresses] = (),
    ) -> None:
        """`buckets`: one on each S3 server, all with the same content; none: `root` holds the blobs.
        `addresses`: those of each bucket, in the same order.
        """
        self._root = root
        self._in_bucket = bool(buckets)
        self._addresses = addresses
        self._copies = copies
        self._reached = not buckets
        local = LocalStore(prefix=root)
        self._replicas = Replicas([one.store for one in buckets] or [lambda: local], self._staging)
        self._quota = Quota(quota_bytes, self._measure)
        self._folder = BlobFolder(root, self._staging, self._quota)
        self._objects = BlobObjects(root, self._staging, self._replicas, copies, self._quota, self._head)

    @classmethod
    def open(
        cls,
        url: str | Path,
        *,
        quota_mib: int | None = None,
        cache: Path | None = None,
        cache_mib: int | None = None,
        access: Sequence[BucketAccess] = (),
        signed_urls: bool = False,
    ) -> BlobStore:
        """Opens `file:///…`, a plain path, or a bucket (`s3://bucket/prefix`), of which `cache` holds copies.
        `access`: of each S3 server that has this bucket; several hold the same files, and one may be away.
        With `signed_urls`, other machines read and write blobs of an S3 bucket by signed addresses.

        Leftovers of processes that died while writing are removed; a bucket is first asked when it is used.
        Raises Invalid for a URL it cannot use.
        """
        buckets: list[BucketConnection] = []
        addresses: list[SignedAddresses] = []
        root = _local_root(url)
        if root is None:
            if cache is None:
                raise Invalid(
                    "blobs.cache_missing", "A bucket needs a local folder for its copies.", "Set `state_dir`."
                )
            root = cache.absolute()
            servers = access or (BucketAccess(),)
            buckets = [BucketConnection(str(url), one, of_several=len(servers) > 1) for one in servers]
            if signed_urls and str(url).startswith("s3://"):
                named = zip(buckets, servers, strict=True)
                addresses = [SignedAddresses.of(bucket, str(url), one) for bucket, one in named]
        with disk_errors(root):
            root.mkdir(parents=True, exist_ok=True)
            sweep(root / ".staging")
        copies = Copies(root, cache_mib * MIB if cache_mib else None)
        return cls(root, buckets, copies, quota_mib * MIB if quota_mib else None, addresses)

    @property
    def root(self) -> Path:
        """The local folder, for `avatar --blobs`; with a bucket, the copies that `local_path` made."""
        return self._root

    async def put_bytes(self, data: bytes, media_type: str = DEFAULT_MEDIA_TYPE) -> Blob:
        """Stores `data`; raises StorageFull when the disk or the quota is."""
        with create_staged_file(self._staging) as staged:
            await asyncio.to_thread(staged.write, data)
            return await asyncio.to_thread(self._place, staged, media_type)

    async def put_file(self, path: Path, media_type: str = DEFAULT_MEDIA_TYPE) -> Blob:
        """Stores a copy of the file at `path`, whatever its size, without holding it in memory."""
        return await asyncio.to_thread(self._put_file, path, media_type)

    async def put_stream(
        self,
        chunks: AsyncIterator[bytes],
        media_type: str = DEFAULT_MEDIA_TYPE,
        *,
        max_bytes: int | None = None,
        expected_bytes: int = 0,
    ) -> Blob:
        """Stores what `chunks` gives; TooLarge as soon as it is more than `max_bytes`, StorageFull as soon as
        it passes the quota together with all that is in flight. `expected_bytes`, where the sender told its
        size, are reserved before the first chunk is read, and must fit on the disk beside `RESERVE_BYTES`.
        """
        with self._quota.reserve() as reserved, create_staged_file(self._staging, max_bytes) as staged:
            await asyncio.to_thread(reserved.grow_to, expected_bytes)
            if expected_bytes:
                await asyncio.to_thread(check_disk, self._root, self._quota.unwritten)
            async for chunk in chunks:
                await asyncio.to_thread(reserved.grow_to, staged.bytes + len(chunk))
                await asyncio.to_thread(staged.write, chunk)
                reserved.add_written(len(chunk))
            return await asyncio.to_thread(self._place, staged, media_type)

    async def local_path(self, sha256: str) -> Path:
        """A path to read the blob at; NotFound when there is none. Never write to it.

        A copy of what lies in a bucket has been checked against its hash, and stays for some hours.
        """
        digits = parse_sha256(sha256)
        if not self._in_bucket:
            path = self._folder.path_of(digits)
            if await asyncio.to_thread(path.is_file):
                return path
            raise _not_found(digits)
        if (copy := await asyncio.to_thread(self._copies.find, digits)) is not None:
            return copy
        try:
            return await self._fetch(digits)
        except (Unavailable, Upstream) as error:
            if not self._replicas.are_several:
                raise
            # Its server was lost on the way, or has a damaged copy: another one has it, too.
            if isinstance(error, Upstream) and not await self._mend(digits):
                raise
            return await self._fetch(digits)

    async def read(self, sha256: str) -> bytes:
        """The whole content; meant for small blobs, large ones are streamed or read at `local_path`."""
        return b"".join([chunk async for chunk in self.stream(sha256)])

    async def stream(self, sha256: str) -> AsyncIterator[bytes]:
        """The content in pieces of about a megabyte."""
        digits = parse_sha256(sha256)
        await self._reach()
        try:
            found = await asyncio.to_thread(self._replicas.get, key_of(digits))
            async for chunk in found.stream(min_chunk_size=READ_BYTES):
                yield bytes(chunk)
        except FileNotFoundError as error:
            if names_no_object(error):
                raise _not_found(digits) from error
            raise bucket_error(error) from error
        except BaseError as error:
            raise self._failed(error) from error

    async def sign_download(self, sha256: str, expires_s: int) -> str | None:
        """Returns an address in the bucket that answers GET with this blob for `expires_s` seconds; None
        where addresses are not signed. Raises Unavailable.
        """
        if not self._addresses:
            return None
        digits = parse_sha256(sha256)

        def sign() -> str:
            return self._addresses[self._replicas.holder_of(key_of(digits))].download(digits, expires_s)

        with bucket_errors():
            return await asyncio.to_thread(sign)

    async def sign_upload(self, sha256: str, size: int, expires_s: int) -> SignedUpload | None:
        """Returns an address in the bucket that takes this very content, of `size` bytes, and no other.

        None where addresses are not signed, and for a blob that is stored: its being there afterwards would
        show nothing. Raises StorageFull when the quota is used up.
        """
        if not self._addresses or await self.exists(sha256):
            return None
        await self.check_quota(size)
        addresses = self._addresses[self._replicas.first()]
        return await asyncio.to_thread(addresses.upload, parse_sha256(sha256), size, expires_s)

    async def complete_upload(self, sha256: str) -> StoredBlob | None:
        """Returns what another machine has put by a signed address, None when it is not stored. Copies it to
        the other S3 servers that answer.
        """
        found = await self.stat(sha256)
        if found is not None and self._replicas.are_several:
            await self._mend(parse_sha256(sha256))
        return found

    @property
    def may_differ(self) -> bool:
        """Returns whether one of several S3 servers may lack what another one has."""
        return self._replicas.may_differ

    def compare_again(self) -> None:
        """Makes the next `copy_missing` due, where there are several S3 servers."""
        self._replicas.may_differ = self._replicas.are_several

    async def copy_missing(self) -> int:
        """Copies what one of several S3 servers has and another lacks; returns how many blobs. What is whole
        on none is left as it is. Raises Unavailable unless all answer.
        """
        with bucket_errors():
            return await asyncio.to_thread(self._replicas.copy_missing)

    async def _mend(self, digits: str) -> bool:
        """Puts a whole copy of one of several S3 servers on the others; returns False where none has one."""
        with bucket_errors():
            return await asyncio.to_thread(self._replicas.mend, key_of(digits))

    async def stat(self, sha256: str) -> StoredBlob | None:
        """Size and time, or None when it is not stored."""
        return await asyncio.to_thread(self._head, parse_sha256(sha256))

    async def touch(self, sha256: str) -> bool:
        """Moves its time forward as putting it again does, so that who has looked before spares it; False
        when it is not there any more. In a bucket the time stays, and a collector has to be told otherwise.
        """
        digits = parse_sha256(sha256)
        if self._in_bucket:
            return await self.exists(sha256)
        return await asyncio.to_thread(self._folder.touch, digits)

    async def exists(self, sha256: str) -> bool:
        """Returns whether the blob is stored, whole."""
        return await self.stat(sha256) is not None

    async def delete(
        self, sha256: str, *, unless_modified_since: datetime | None = None, strictly: bool = False
    ) -> bool:
        """Removes a blob; False when it was not there, or was put (again) since the given moment. Of several
        S3 servers, one that does not answer gets rid of it when it is back; with
        `strictly` all must answer, or Unavailable is raised.

        A bucket has no delete with a condition: what another machine puts in the instant between our look and
        our delete is gone. Who refers to a blob looks for it again once that is written down.
        """
        digits = parse_sha256(sha256)
        if self._in_bucket:
            await self._reach()
            return await asyncio.to_thread(self._objects.delete, digits, unless_modified_since, strictly)
        return await asyncio.to_thread(self._folder.delete, digits, unless_modified_since)

    async def verify(self, sha256: str) -> bool:
        """Returns whether the stored content still has its hash; NotFound when it is not stored. Of several
        S3 servers, a whole copy of one mends the others.
        """
        digits, digest = parse_sha256(sha256), hashlib.sha256()
        async for chunk in self.stream(sha256):
            digest.update(chunk)
        if digest.hexdigest() == digits:
            return True
        return self._replicas.are_several and await self._mend(digits)

    async def iterate(self) -> AsyncIterator[StoredBlob]:
        """Every blob, in no order; files that are no blobs are passed over."""
        await self._reach()
        try:
            pages = self._replicas.pages()
            while (page := await asyncio.to_thread(next, pages, None)) is not None:
                for meta in page:
                    if is_key(meta["path"]):
                        yield StoredBlob(f"sha256:{meta['path'][3:]}", meta["size"], meta["last_modified"])
        except BaseError as error:
            raise self._failed(error) from error

    async def usage_bytes(self) -> int:
        """Returns what all blobs take together, measured anew."""
        return await asyncio.to_thread(self._quota.measure)

    @property
    def _staging(self) -> Path:
        return self._root / ".staging"

    def _put_file(self, path: Path, media_type: str) -> Blob:
        if not path.is_file():
            raise NotFound(
                "blob.source_missing", f"There is no file {path.name} to store.", "Check the path."
            )
        with create_staged_file(self._staging) as staged:
            # Refused before a long copy; `_place` asks again with what others have written meanwhile.
            self._quota.check(path.stat().st_size)
            staged.copy_from(path)
            return self._place(staged, media_type)

    def _place(self, staged: StagedFile, media_type: str) -> Blob:
        digits = staged.finish()
        if self._in_bucket:
            self._objects.place(staged, digits)
        else:
            self._folder.place(staged, digits)
        return Blob(f"sha256:{digits}", staged.bytes, media_type)

    def _head(self, digits: str) -> StoredBlob | None:
        self._reach_now()
        try:
            meta = self._replicas.head(key_of(digits))
        except FileNotFoundError:
            return None
        except BaseError as error:
            raise self._failed(error) from error
        return StoredBlob(f"sha256:{digits}", meta["size"], meta["last_modified"])

    async def _reach(self) -> None:
        if not self._reached:
            await asyncio.to_thread(self._reach_now)

    def _reach_now(self) -> None:
        """Makes sure, once, that the bucket is there, or else every blob in it would look deleted."""
        if not self._reached:
            with bucket_errors():
                self._replicas.check()
            self._reached = True

    async def _fetch(self, digits: str) -> Path:
        with create_staged_file(self._staging) as staged:
            async for chunk in self.stream(digits):
                await asyncio.to_thread(staged.write, chunk)
            if await asyncio.to_thread(staged.finish) != digits:
                raise Upstream(
                    "blobs.damaged",
                    f"The bucket holds other content under sha256:{digits}.",
                    "Put the file again.",
                )
            return await asyncio.to_thread(self._copies.take, staged.path, digits)

    def _failed(self, error: BaseError) -> SoundstageError:
        if self._in_bucket:
            return bucket_error(error)
        return Unavailable(
            "blobs.unreadable",
            f"Files under {self._root} cannot be read: {type(error).__name__}.",
            "Check that the folder belongs to the user who runs soundstage.",
        )

    async def check_room(self, more: int) -> None:
        """Raises StorageFull when so many bytes more, with those in flight, would pass the quota, or would
        leave less than `RESERVE_BYTES` free on the disk.
        """
        await self.check_quota(more)
        await asyncio.to_thread(check_disk, self._root, self._quota.unwritten + more)

    async def check_quota(self, more: int) -> None:
        """Raises StorageFull when so many bytes more, with those in flight, would pass the quota."""
        await asyncio.to_thread(self._quota.check_with_in_flight, more)

    def _measure(self) -> int:
        self._reach_now()
        try:
            pages = self._replicas.pages()
            return sum(meta["size"] for page in pages for meta in page if is_key(meta["path"]))
        except BaseError as error:
            raise self._failed(error) from error


def _local_root(url: str | Path) -> Path | None:
    """The folder that a path or a `file:` URL names; None for a bucket."""
    if isinstance(url, Path):
        return url.absolute()
    parts = urlsplit(url)
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise bad_url()
        return Path(url2pathname(parts.path))
    return None if parts.scheme else Path(url).absolute()


def blob_not_found(sha256: str) -> NotFound:
    """Returns what is said of a blob that is not stored, and to somebody for whom it is not there. Raises
    Invalid for what is no hash.
    """
    return _not_found(parse_sha256(sha256))


def _not_found(digits: str) -> NotFound:
    return NotFound("blob.not_found", f"No file with the hash sha256:{digits} is stored.", "Upload it first.")
