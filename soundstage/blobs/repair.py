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
    """Looks every `every_s` seconds in each process: what one could not store, another does not know.

    Does nothing with a folder or one S3 server.
    """

    def __init__(self, blobs: BlobStore, every_s: float = EVERY_S) -> None:
        self._blobs = blobs
        self._compared_s = time.monotonic()
        self.compared = False
        """Whether all servers had the same since the start of the process."""
        self.failure: SoundstageError | None = None
        """Why files could not be copied the last time; None when all servers have the same."""
        self.worker = Worker("blob repair", self.poll, poll_s=every_s)

    async def poll(self) -> None:
        """Copies what is missing. Raises Unavailable while a server is away."""
        if time.monotonic() - self._compared_s > COMPARE_S:
            self._blobs.compare_again()
        due = self._blobs.may_differ
        try:
            if self._blobs.may_differ and (copied := await self._blobs.copy_missing()):
                log.info("blobs.repaired", copied=copied)
        except SoundstageError as error:
            self.failure = error
            raise
        self.failure, self.compared = None, True
        if due:
            self._compared_s = time.monotonic()
