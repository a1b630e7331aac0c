"""Verbs on uploads that come in pieces: begin, go on, look, end; called by the routes of tus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from weakref import WeakValueDictionary

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from policy import Principal
from soundstage.background import ItemWorker, ProcessLock
from soundstage.blobs import BlobStore
from soundstage.database import Database, utcnow
from soundstage.database.tenants import bypass_tenant_filter, tenant_bypass_context
from soundstage.errors import Conflict, Invalid, NotFound, SoundstageError, TooLarge, TooManyRequests
from soundstage.tasks import cancel_all
from soundstage.views import read_view
from studio.assets.schemas import AssetLabels
from studio.assets.service import AssetService
from studio.assets.sniffing import SNIFF_BYTES, sniff
from studio.uploads.models import ResumableUpload
from studio.uploads.repository import Uploads
from studio.uploads.staging import Staging

LIFETIME = timedelta(hours=24)
"""After the last piece; also how long it tells of the asset that came of it."""
LAST_END = timedelta(days=7)
"""After its beginning: a few bytes a day reserve no room for ever."""
MAX_UNFINISHED = 16
"""Of one tenant. Together they have at most four times the bytes of the largest upload."""
IDLE_S = 60.0
CLEAN_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class UploadState:
    """State of an upload; `asset_id` once it is complete."""

    id: str
    offset: int
    length: int
    upload_metadata: str
    asset_id: str | None
    expires_at: datetime


class UnfinishedUpload(BaseModel):
    """`creator` is the id of the key that began it."""

    id: str
    creator: str
    length: int
    created_at: datetime
    expires_at: datetime


class UploadService:
    """`worker` removes what has expired: start and close it with the process."""

    def __init__(self, db: Database, blobs: BlobStore, assets: AssetService, state_dir: Path) -> None:
        self._db = db
        self._blobs = blobs
        self._assets = assets
        self._staging = Staging(state_dir / "uploads")
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._stops: dict[str, asyncio.Event] = {}
        self.max_bytes = assets.max_upload_bytes
        self.worker = ItemWorker(
            "uploads",
            self.list_expired,
            self.remove_expired,
            max_active=2,
            poll_s=CLEAN_EVERY_S,
            lock=ProcessLock(state_dir / "uploads.lock"),
            context=tenant_bypass_context,
        )

    async def create(
        self, principal: Principal, length: int, labels: AssetLabels, upload_metadata: str
    ) -> UploadState:
        """Raises TooLarge, Invalid `upload.empty`, TooManyRequests `upload.too_many`, StorageFull."""
        if length == 0:
            raise Invalid("upload.empty", "The uploaded file is empty.", "Choose the file again.")
        if length > self.max_bytes:
            raise TooLarge(
                "upload.too_large",
                f"The upload is larger than {self.max_bytes / (1 << 20):.0f} MiB.",
                "Make it smaller; `limits.upload_mib` is the most that any upload may have.",
            )
        # Measured here, so that no call waits for it below.
        await self._blobs.check_room(length)
        async with self._db.transaction() as session:
            uploads = Uploads(session)
            with bypass_tenant_filter():
                _, all_unfinished_bytes = await uploads.count_unfinished()
            await self._blobs.check_quota(all_unfinished_bytes + length)
            # Twice: when it is whole, the store takes a copy.
            await self._staging.check_disk(all_unfinished_bytes + 2 * length)
            count, reserved = await uploads.count_unfinished()
            if count >= MAX_UNFINISHED or reserved + length > 4 * self.max_bytes:
                raise TooManyRequests(
                    "upload.too_many",
                    f"{count} uploads are unfinished, and have {reserved / (1 << 20):.0f} MiB together.",
                    "Finish or end one of them, or have an administrator end it; they are forgotten a day"
                    " after their last piece.",
                )
            row = await uploads.add(
                ResumableUpload(
                    creator=principal.id,
                    length=length,
                    labels=labels.model_dump(mode="json", exclude_unset=True),
                    upload_metadata=upload_metadata,
                    expires_at=utcnow() + LIFETIME,
                )
            )
            await self._staging.create(row.id)
            return _state(row, 0)

    async def look(self, principal: Principal, upload_id: str) -> UploadState:
        """Returns the offset. The client goes on from there, so an older connection is ended first. An upload
        that was complete when the server ended becomes an asset now.
        """
        async with self._alone(principal, upload_id) as row:
            size = await self._size(row)
            if row.asset_id is None and size == row.length:
                return await self._finish(row)
            return _state(row, size)

    async def add(
        self, principal: Principal, upload_id: str, offset: int, chunks: AsyncIterator[bytes]
    ) -> UploadState:
        """Takes one piece, as far as it comes; with the last one the file becomes an asset.

        What has come before a connection is cut is kept. Raises Conflict `upload.wrong_offset` and
        `upload.taken_over`, TooLarge `upload.beyond_length`, and what `AssetService.add` does, after which
        the upload is gone when it could not be used anyway.
        """
        async with self._alone(principal, upload_id) as row:
            size = await self._size(row)
            if offset != size:
                raise Conflict(
                    "upload.wrong_offset",
                    f"{size} bytes are here, and the piece begins at {offset}.",
                    "Ask for the offset (HEAD), and go on from there.",
                )
            if row.asset_id is not None:
                return _state(row, size)
            stop, before = asyncio.Event(), size
            self._stops[upload_id] = stop
            try:
                size = await self._receive(row, size, chunks, stop)
            finally:
                del self._stops[upload_id]
                # An upload without new bytes keeps no reservation.
                if (await self._staging.size(row.id) or 0) > before:
                    await self._prolong(row)
            return await self._finish(row) if size == row.length else _state(row, size)

    async def end(self, principal: Principal, upload_id: str) -> None:
        """Forgets it with what has come of it; an asset that came of it stays. An administrator of the tenant
        may end any unfinished one.
        """
        async with self._alone(principal, upload_id, ending=True) as row:
            await self._remove(row.id)

    async def list_unfinished(self) -> Sequence[UnfinishedUpload]:
        """Returns those of the tenant, oldest first."""
        async with self._db.session() as session:
            rows = await Uploads(session).list_unfinished(utcnow())
        return [read_view(UnfinishedUpload, row) for row in rows]

    async def list_expired(self, in_flight: Collection[str], limit: int) -> Sequence[str]:
        """Ids of those whose time is over. Files that are older than that go at once."""
        await self._staging.remove_older(2 * LIFETIME.total_seconds())
        async with self._db.session() as session:
            return await Uploads(session).list_expired(utcnow(), in_flight, limit)

    async def remove_expired(self, upload_id: str) -> None:
        lock = self._locks.setdefault(upload_id, asyncio.Lock())
        async with lock:
            async with self._db.session() as session:
                row = await Uploads(session).find(upload_id)
            # A chunk may have arrived since the check.
            if row is not None and row.expires_at < utcnow():
                await self._remove(upload_id)

    async def _receive(
        self, row: ResumableUpload, size: int, chunks: AsyncIterator[bytes], stop: asyncio.Event
    ) -> int:
        stopped = asyncio.create_task(stop.wait())
        try:
            with self._staging.open_file(row.id) as file:
                while (chunk := await _next(chunks, stopped)) is not None:
                    if utcnow() > row.created_at + LAST_END:
                        raise not_found()
                    if size + len(chunk) > row.length:
                        raise TooLarge(
                            "upload.beyond_length",
                            f"The upload was to have {row.length} bytes, and more come.",
                            "Begin it anew with its true length.",
                        )
                    await file.write(chunk)
                    known, size = size >= SNIFF_BYTES, size + len(chunk)
                    if not known and size >= min(SNIFF_BYTES, row.length):
                        await self._check_type(row)
        finally:
            await cancel_all([stopped])
        return size

    async def _check_type(self, row: ResumableUpload) -> None:
        """Removes an upload whose first bytes are of no type that assets have, and raises why."""
        try:
            sniff(await self._staging.head(row.id, SNIFF_BYTES))
        except SoundstageError:
            await self._remove(row.id)
            raise

    async def _finish(self, row: ResumableUpload) -> UploadState:
        try:
            found = sniff(await self._staging.head(row.id, SNIFF_BYTES))
            blob = await self._blobs.put_file(self._staging.path(row.id), found.media_type)
            view = await self._assets.add(blob, found, AssetLabels.model_validate(row.labels))
        except (Invalid, NotFound):
            await self._remove(row.id)
            raise
        async with self._db.transaction() as session:
            stored = await Uploads(session).find(row.id)
            if stored is not None:
                stored.asset_id = view.id
        await self._staging.remove(row.id)
        row.asset_id = view.id
        return _state(row, row.length)

    async def _prolong(self, row: ResumableUpload) -> None:
        async with self._db.transaction() as session:
            stored = await Uploads(session).find(row.id)
            if stored is not None:
                row.expires_at = stored.expires_at = min(utcnow() + LIFETIME, stored.created_at + LAST_END)

    async def _remove(self, upload_id: str) -> None:
        await self._staging.remove(upload_id)
        async with self._db.transaction() as session:
            row = await Uploads(session).find(upload_id)
            if row is not None:
                await Uploads(session).delete(row)

    async def _size(self, row: ResumableUpload) -> int:
        if row.asset_id is not None:
            return row.length
        size = await self._staging.size(row.id)
        if size is None:
            # Of a backup, or of another machine: what has come is not here.
            raise not_found()
        return size

    @asynccontextmanager
    async def _alone(
        self, principal: Principal, upload_id: str, *, ending: bool = False
    ) -> AsyncIterator[ResumableUpload]:
        """Returns the row, locked against other requests. Only its creator may continue."""
        async with self._db.session() as session:
            await self._own(session, principal, upload_id, ending=ending)
        if (stop := self._stops.get(upload_id)) is not None:
            stop.set()
        lock = self._locks.setdefault(upload_id, asyncio.Lock())
        async with lock:
            async with self._db.session() as session:
                row = await self._own(session, principal, upload_id, ending=ending)
            yield row

    async def _own(
        self, session: AsyncSession, principal: Principal, upload_id: str, *, ending: bool
    ) -> ResumableUpload:
        row = await Uploads(session).find(upload_id)
        if row is None or row.expires_at < utcnow():
            raise not_found()
        by_administrator = ending and row.asset_id is None and principal.role == "admin"
        if row.creator != principal.id and not by_administrator:
            raise not_found()
        return row


async def _next(chunks: AsyncIterator[bytes], stopped: asyncio.Task[bool]) -> bytes | None:
    """The next piece that came; None at the end. A client that falls silent gives its place up."""

    async def next_chunk() -> bytes | None:
        return await anext(chunks, None)

    coming = asyncio.create_task(next_chunk())
    try:
        await asyncio.wait({coming, stopped}, timeout=IDLE_S, return_when=asyncio.FIRST_COMPLETED)
        if stopped.done():
            raise Conflict(
                "upload.taken_over",
                "Another connection goes on with this upload.",
                "Ask for the offset (HEAD).",
            )
        if coming.done():
            return coming.result()
    finally:
        await cancel_all([coming])
    raise SoundstageError(
        "upload.idle",
        f"Nothing came for {IDLE_S:.0f} s.",
        "Ask for the offset (HEAD), and go on.",
        status=408,
    )


def _state(row: ResumableUpload, offset: int) -> UploadState:
    return UploadState(row.id, offset, row.length, row.upload_metadata, row.asset_id, row.expires_at)


def not_found() -> NotFound:
    """Raised alike for an upload that is missing, has expired, or belongs to another user."""
    return NotFound("upload.not_found", "There is no such upload (any more).", "Begin it anew.")
