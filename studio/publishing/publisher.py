"""Advances one publication through its state machine; an ItemWorker in one process calls `step`.

A step stores what later ones need before it begins: the URL of the upload session before the first byte, the
column `maybe_whole` ("the final chunk was sent") before that chunk, the id of the video before captions and
thumbnail. So the network or the end of this process may interrupt a step anywhere: the next one asks YouTube
how many bytes have arrived and resumes there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from avatar.spec import Failed

from soundstage.backoff import Backoff
from soundstage.blobs import BlobStore
from soundstage.database import Database, utcnow
from soundstage.errors import SoundstageError, Unavailable
from soundstage.sealing import Sealer
from soundstage.settings import YoutubeSettings
from soundstage.telemetry import get_logger, trace
from soundstage.tracing import span
from studio.publishing.accounts import AccountService
from studio.publishing.errors import (
    PublishError,
    QuotaUsedUp,
    Refused,
    TokenExpired,
    TransientError,
    UploadSessionExpired,
)
from studio.publishing.extras import CaptionAndThumbnailUpload, UploadInputs, load_inputs
from studio.publishing.journal import PublicationJournal
from studio.publishing.metadata import video_resource, watch_url
from studio.publishing.models import Publication
from studio.publishing.quota import UploadQuota, resets_at
from studio.publishing.repository import Publications
from studio.publishing.states import ACTIVE, PublicationState
from studio.publishing.youtube import Received, YouTube, http_client

LONGEST_WAIT_S = 15 * 60.0
JITTER = (0.8, 1.2)
READ_UNITS = 1
# uploadStatus: developers.google.com/youtube/v3/docs/videos#status.uploadStatus
LOST = frozenset({"failed", "rejected", "deleted"})

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PublisherOptions:
    """A publication fails after `max_attempts` without progress, or after `max_sessions` expired upload
    sessions. The wait between attempts doubles from `first_wait_s` on.
    """

    max_attempts: int = 10
    max_sessions: int = 5
    first_wait_s: float = 2.0
    status_poll_s: float = 15.0


@dataclass
class Publisher:
    db: Database
    journal: PublicationJournal
    blobs: BlobStore
    accounts: AccountService
    quota: UploadQuota
    sealer: Sealer
    settings: YoutubeSettings
    options: PublisherOptions

    async def bring_forward(self, by: timedelta) -> None:
        # A wait for YouTube's quota is longer: it ends by YouTube's clock.
        before = utcnow() + by + timedelta(seconds=LONGEST_WAIT_S)
        async with self.db.transaction() as session:
            await Publications(session).bring_forward(by, before)

    async def due(self, exclude: Collection[str], limit: int) -> Sequence[str]:
        """Returns the ids of publications to advance now, without those in `exclude`."""
        async with self.db.session() as session:
            return await Publications(session).due(utcnow(), exclude, limit)

    async def step(self, publication_id: str) -> None:
        """Advances a publication as far as possible; records in the row what stops it."""
        row = await self._read(publication_id)
        if row is None:
            return
        about = {"soundstage.publication.id": row.id}
        with trace(row.trace_id, tenant=row.tenant), span("publish", about):
            try:
                await self._advance_with_token(row)
            except TransientError as error:
                await self._schedule_retry(row.id, error.why, error.retry_after_s)
            except UploadSessionExpired:
                await self._restart_session(row.id)
            except QuotaUsedUp as used_up:
                if not used_up.by_local_count:
                    await self.quota.mark_exhausted()
                await self._defer_until_quota_reset(row.id)
            except Refused as refused:
                await self._fail(row.id, refused.failure)
            except (Unavailable, OSError) as error:
                # An unreadable file or a busy database is a fault of this installation: retried.
                await self._schedule_retry(row.id, str(error), None)
            except SoundstageError as error:
                await self._fail(row.id, Failed(code=error.code, message=error.message, hint=error.hint))

    async def _advance_with_token(self, row: Publication) -> None:
        """Advances it; once more with a new token when YouTube does not accept the old one."""
        if row.account_id is None:
            raise Refused(
                "publishing.account_gone",
                "The account that it was meant for is not connected any more.",
                "Publish again, to an account that is.",
            )
        for fresh in (False, True):
            token = await self.accounts.token(row.account_id, fresh=fresh)
            async with http_client(self.settings, self.accounts.listeners) as http:
                with suppress(TokenExpired):
                    await self._advance(row.id, YouTube(http, str(self.settings.api_url), token))
                    return
        raise TransientError("YouTube does not accept a fresh token")

    async def _advance(self, publication_id: str, youtube: YouTube) -> None:
        row = await self._read(publication_id)
        if row is None:
            return
        async with self.db.session() as session:
            inputs = await load_inputs(session, row)
        if row.state == PublicationState.QUEUED:
            await self._move(row.id, PublicationState.UPLOADING)
        if row.state != PublicationState.PROCESSING:
            await self._upload(row, inputs, youtube)
        await self._process(row.id, inputs, youtube)

    async def _upload(self, row: Publication, inputs: UploadInputs, youtube: YouTube) -> None:
        path = await self.blobs.local_path(inputs.video.sha256)
        session_url, received = await self._session(row, inputs, youtube)
        total = inputs.video.bytes
        while received.video is None:
            chunk = await asyncio.to_thread(_read_chunk, path, received.offset, self._chunk_bytes)
            last = received.offset + len(chunk) >= total
            if not await self._record_progress(row.id, received.offset, final_chunk=last):
                await self._cancel(row.id, session_url, youtube)
                return
            if not chunk:
                raise TransientError("YouTube has all bytes and does not say that it has the video")
            before = received.offset
            received = await youtube.send_chunk(session_url, chunk, before, total)
            if received.video is None and received.offset <= before:
                raise TransientError("YouTube kept nothing of the last chunk")
        await self._record_upload_complete(row.id, str(received.video["id"]))

    async def _session(
        self, row: Publication, inputs: UploadInputs, youtube: YouTube
    ) -> tuple[str, Received]:
        """Returns the URL of the upload session, resumed or new, and what has arrived there."""
        if row.session_url_sealed is not None:
            session_url = self.sealer.unseal(row.session_url_sealed)
            return session_url, await youtube.ask_session(session_url, inputs.video.bytes)
        request = inputs.request
        if request.publish_at is not None and request.publish_at <= utcnow():
            raise Refused(
                "publication.in_past",
                "The time at which YouTube should make it public has passed while it waited.",
                "Publish again, with another time.",
            )
        async with self.quota.reserve(self.settings.upload_units):
            session_url = await youtube.start_session(
                video_resource(request), inputs.video.bytes, notify=request.notify_subscribers
            )
        async with self.db.transaction() as session:
            fresh = await Publications(session).find(row.id)
            if fresh is not None:
                fresh.session_url_sealed = self.sealer.seal(session_url)
                fresh.sessions += 1
                fresh.bytes_sent, fresh.maybe_whole = 0, False
        return session_url, Received(0)

    async def _process(self, publication_id: str, inputs: UploadInputs, youtube: YouTube) -> None:
        row = await self._read(publication_id)
        if row is None or row.state != PublicationState.PROCESSING or row.video_id is None:
            return
        extras = CaptionAndThumbnailUpload(self.db, self.journal, self.blobs, self.quota, self.settings)
        await extras.upload(row, inputs, youtube)
        await self.quota.consume(READ_UNITS)
        video = await youtube.video(row.video_id)
        status = (video or {}).get("status", {})
        upload = status.get("uploadStatus")
        if upload in LOST:
            reason = status.get("failureReason") or status.get("rejectionReason") or upload
            raise Refused(
                "publication.rejected",
                f"YouTube has the video and does not take it: {reason}.",
                "See YouTube Studio for the reason.",
            )
        if upload != "processed":
            await self._schedule_status_poll(publication_id)
            return
        async with self.db.transaction() as session:
            fresh = await Publications(session).find(publication_id)
            if fresh is None:
                return
            privacy, requested = status.get("privacyStatus"), inputs.request.privacy
            if privacy and privacy != requested and inputs.request.publish_at is None:
                await self.journal.warn(
                    session,
                    fresh,
                    f"YouTube made it {privacy}, not {requested}: uploads of API projects that Google has "
                    "not audited stay private.",
                )
            await self.journal.move(session, fresh, PublicationState.PUBLISHED)

    @property
    def _chunk_bytes(self) -> int:
        return self.settings.chunk_kib * 1024

    async def _read(self, publication_id: str) -> Publication | None:
        """Returns the row; None when the publication has ended or was deleted meanwhile."""
        async with self.db.session() as session:
            row = await Publications(session).find(publication_id)
        return row if row is not None and row.state in ACTIVE else None

    async def _move(self, publication_id: str, state: PublicationState) -> None:
        async with self.db.transaction() as session:
            row = await Publications(session).find(publication_id)
            if row is not None:
                # A step that only begins again is no progress.
                await self.journal.move(session, row, state, reset_attempts=False)

    async def _record_progress(self, publication_id: str, offset: int, *, final_chunk: bool) -> bool:
        """Stores the offset before a chunk is sent. Returns False when the publication is to be cancelled."""
        async with self.db.transaction() as session:
            row = await Publications(session).find(publication_id)
            if row is None or row.cancel_requested:
                return False
            row.maybe_whole = final_chunk
            if offset > row.bytes_sent:
                row.bytes_sent, row.tries, row.waits = offset, 0, ""
                await self.journal.tell(
                    session, row, "publication.progress", bytes_sent=offset, bytes_total=row.bytes_total
                )
            return True

    async def _record_upload_complete(self, publication_id: str, video_id: str) -> None:
        async with self.db.transaction() as session:
            row = await Publications(session).find(publication_id)
            if row is None:
                log.error("publication.orphan", publication=publication_id, video=video_id)
                return
            late = row.cancel_requested
            row.video_id, row.url = video_id, watch_url(video_id)
            row.bytes_sent, row.uploaded_at = row.bytes_total, utcnow()
            row.session_url_sealed, row.maybe_whole = None, False
            await self.journal.move(session, row, PublicationState.PROCESSING)
            if late:
                await self.journal.warn(
                    session, row, "It could not be cancelled any more: YouTube had the last byte already."
                )

    async def _cancel(self, publication_id: str, session_url: str, youtube: YouTube) -> None:
        with suppress(PublishError):
            await youtube.drop_session(session_url)
        async with self.db.transaction() as session:
            row = await Publications(session).find(publication_id)
            if row is not None and row.state == PublicationState.UPLOADING:
                row.session_url_sealed = None
                await self.journal.move(session, row, PublicationState.CANCELLED)

    async def _schedule_retry(self, publication_id: str, why: str, requested_s: float | None) -> None:
        async with self.db.transaction() as session:
            row = await Publications(session).find(publication_id)
            if row is None or row.state not in ACTIVE:
                return
            if row.cancel_requested and row.state == PublicationState.UPLOADING:
                await self.journal.move(session, row, PublicationState.CANCELLED)
                return
            row.tries += 1
            if row.tries >= self.options.max_attempts:
                failure = Failed(
                    code="publication.gave_up",
                    message=f"It did not get any further in {row.tries} tries; the last time {why}.",
                    hint="Retry when the connection is better.",
                )
                await self.journal.move(session, row, PublicationState.FAILED, error=failure)
                return
            delay_s = Backoff(self.options.first_wait_s, LONGEST_WAIT_S, JITTER).delay_s(row.tries)
            wait = min(max(delay_s, requested_s or 0.0), LONGEST_WAIT_S)
            row.next_at = utcnow() + timedelta(seconds=wait)
            row.waits = f"tries again in {wait:.0f} s: {why}"[:400]

    async def _restart_session(self, publication_id: str) -> None:
        """Begins a new upload session, unless YouTube may have the video: it must not be there twice."""
        async with self.db.transaction() as session:
            row = await Publications(session).find(publication_id)
            if row is None or row.state not in ACTIVE:
                return
            if row.maybe_whole or row.sessions >= self.options.max_sessions:
                uncertain = Failed(
                    code="publication.uncertain",
                    message="The connection broke at the last byte; YouTube does not say what became of it.",
                    hint="Look into YouTube Studio; retry only if the video is not there.",
                )
                lost = Failed(
                    code="publication.session_lost",
                    message=f"YouTube forgot the upload {row.sessions} times.",
                    hint="Retry later; it then begins with the first byte.",
                )
                error = uncertain if row.maybe_whole else lost
                await self.journal.move(session, row, PublicationState.FAILED, error=error)
                return
            row.session_url_sealed, row.bytes_sent = None, 0
            row.next_at = utcnow() + timedelta(seconds=self.options.first_wait_s)
            row.waits = "begins again: YouTube does not know the upload any more"

    async def _defer_until_quota_reset(self, publication_id: str) -> None:
        now = utcnow()
        async with self.db.transaction() as session:
            row = await Publications(session).find(publication_id)
            if row is None or row.state not in ACTIVE:
                return
            row.next_at = resets_at(now)
            waits = f"YouTube's quota of the day is used up; goes on at {row.next_at:%Y-%m-%d %H:%M} UTC"
            if row.state == PublicationState.UPLOADING:
                await self.journal.move(session, row, PublicationState.QUEUED, waits=waits)
            row.waits = waits

    async def _schedule_status_poll(self, publication_id: str) -> None:
        """Schedules the next poll of YouTube's processing: the longer it takes, the later, as polls cost
        quota.
        """
        async with self.db.transaction() as session:
            row = await Publications(session).find(publication_id)
            if row is not None:
                age_s = (utcnow() - (row.uploaded_at or utcnow())).total_seconds()
                pause = min(max(self.options.status_poll_s, age_s / 4), LONGEST_WAIT_S)
                row.next_at, row.tries = utcnow() + timedelta(seconds=pause), 0
                row.waits = "YouTube is processing it"

    async def _fail(self, publication_id: str, failure: Failed) -> None:
        async with self.db.transaction() as session:
            row = await Publications(session).find(publication_id)
            if row is not None and row.state in ACTIVE:
                await self.journal.move(session, row, PublicationState.FAILED, error=failure)


def _read_chunk(path: Path, offset: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(size)
