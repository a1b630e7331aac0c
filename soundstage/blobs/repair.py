"""Gives an S3 server that was away what the others have stored meanwhile."""

from __future__ import annotations

import time

from soundstage.background import Worker
from soundstage.blobs.store import BlobStore
from soundstage.errors import SoundstageError
from soundstage.telemetry import get_logger

EVERY_S = 30.0
COMPARE_S = 86_400.0
"""So often the servers are compared without a reason."""

log = get_logger(__name__)


class BlobRepair:
    """Looks every EVERY_S seconds in each process: what one could not store, another does not know.

    Does nothing with a folder or one S3 server.
    """

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self.compared_s: float | None = None
        """When all servers had the same, on the monotonic clock; None before the first time."""
        self.failure: SoundstageError | None = None
        """Why files could not be copied the last time; None when all servers have the same."""
        self.worker = Worker("blob repair", self.poll, poll_s=EVERY_S)

    async def poll(self) -> None:
        """Copies what is missing. Raises Unavailable while a server is away."""
        if self.compared_s is not None and time.monotonic() - self.compared_s > COMPARE_S:
            self._blobs.compare_again()
        if not self._blobs.may_differ:
            return
        try:
            copied = await self._blobs.copy_missing()
        except SoundstageError as error:
            self.failure = error
            raise
        self.failure, self.compared_s = None, time.monotonic()
        if copied:
            log.info("blobs.repaired", copied=copied)
