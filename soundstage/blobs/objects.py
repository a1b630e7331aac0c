"""Blobs as objects of a bucket: what is put there and deleted; `BlobStore` calls it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from obstore.exceptions import BaseError

from soundstage.blobs.bucket import bucket_error, bucket_errors
from soundstage.blobs.copies import Copies
from soundstage.blobs.quota import Quota
from soundstage.blobs.replicas import Replicas
from soundstage.blobs.schemas import StoredBlob, key_of
from soundstage.blobs.staging import StagedFile, disk_errors, lock_store
from soundstage.errors import Upstream

PUT_ATTEMPTS = 3
PUT_PAUSE_S = 0.2


class BlobObjects:
    """`head` returns what is stored under a hash, and raises Unavailable where the bucket is away."""

    def __init__(
        self,
        root: Path,
        staging: Path,
        replicas: Replicas,
        copies: Copies,
        quota: Quota,
        head: Callable[[str], StoredBlob | None],
    ) -> None:
        self._root, self._staging, self._replicas = root, staging, replicas
        self._copies, self._quota, self._head = copies, quota, head

    def place(self, staged: StagedFile, digits: str) -> None:
        """Puts the content even if it is there: its time moves forward, and what is damaged is mended."""
        if (before := self._head(digits)) is None:
            self._quota.check(staged.bytes)
        for attempt in range(PUT_ATTEMPTS):
            try:
                self._replicas.put(key_of(digits), staged.path)
            except (BaseError, FileNotFoundError) as error:
                known = bucket_error(error)
                # A gateway over a file system stumbles when a folder goes away that another one empties.
                if attempt == PUT_ATTEMPTS - 1 or not isinstance(known, Upstream):
                    raise known from error
                time.sleep(PUT_PAUSE_S)
                continue
            # A collector may have looked before our upload and deleted after it.
            with lock_store(self._staging):
                stored = self._head(digits)
            if stored is not None and stored.bytes == staged.bytes:
                if before is None:
                    self._quota.count(staged.bytes)
                # Its writer is likely to read it: a segment, for the assembly of its video.
                self._copies.take(staged.path, digits)
                return
        raise Upstream(
            "blobs.not_kept",
            "The S3 server took a file and does not have it.",
            "See its log; check that nothing else deletes from this bucket.",
        )

    def delete(self, digits: str, unless_modified_since: datetime | None, strictly: bool) -> bool:
        """As `BlobStore.delete`."""
        # The lock is for the processes of this machine; see `place` for those of others.
        with disk_errors(self._root), lock_store(self._staging), bucket_errors():
            if strictly:
                # All are asked before the first deletes: what one has left would be copied back.
                self._replicas.require_all()
            try:
                found = self._replicas.newest(key_of(digits))
            except FileNotFoundError:
                return False
            if unless_modified_since is not None and found["last_modified"] >= unless_modified_since:
                return False
            self._replicas.delete(key_of(digits), strictly=strictly)
        self._copies.evict(digits)
        self._quota.count(-found["size"])
        return True
