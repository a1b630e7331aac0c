"""Carries one publication a step further; the publishers' worker calls it in one process.

Everything that a later step needs is in the row before the step that depends on it begins: the address of the
upload before the first byte, the mark `maybe_whole` before the last piece, the id of the video before what is
added to it. So a step may be cut off anywhere, by the network or by the end of this process, and the next one
asks YouTube how far it has come and goes on from there.
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
from studio.publishing.accounts import AccountService
from studio.publishing.errors import (
    Interrupted,
    QuotaUsedUp,
    Refused,
    SessionGone,
    TokenExpired,
    Trouble,
)
from studio.publishing.extras import ExtraUploads
from studio.publishing.journal import PublicationJournal
from studio.publishing.materials import Materials, materials_of
from studio.publishing.metadata import video_resource, watch_url
from studio.publishing.models import Publication
from studio.publishing.quota import UploadQuota, resets_at
from studio.publishing.repository import Publications
from studio.publishing.states import IN_HAND, PublicationState
from studio.publishing.youtube import Received, YouTube, http_client

LONGEST_WAIT_S = 15 * 60.0
JITTER = (0.8, 1.2)
READ_UNITS = 1
# uploadStatus: developers.google.com/youtube/v3/docs/videos#status.uploadStatus
LOST = frozenset({"failed", "rejected", "deleted"})

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PublisherOptions:
    """`tries` without any progress end it; so do `sessions` addresses that were lost. The wait doubles from
    `first_wait_s` on.
    """

    tries: int = 10
    sessions: int = 5
    first_wait_s: float = 2.0
    ask_every_s: float = 15.0


class Publisher:
    def __init__(
        self,
        db: Database,
        journal: PublicationJournal,
        blobs: BlobStore,
        accounts: AccountService,
        quota: UploadQuota,
        sealer: Sealer,
        settings: YoutubeSettings,
        options: PublisherOptions,
    ) -> None:
        self._db = db
        self._journal = journal
        self._blobs = blobs
        self._accounts = accounts
        self._quota = quota
        self._sealer = sealer
        self._settings = settings
        self._options = options

    async def due(self, without: Collection[str], limit: int) -> Sequence[str]:
        async with self._db.session() as session:
            return await Publications(session).due(utcnow(), without, limit)

    async def step(self, publication_id: str) -> None:
        """As far as it goes; whatever stops it is written down."""
        row = await self._read(publication_id)
        if row is None:
            return
        with trace(row.trace_id):
            try:
                await self._with_token(row)
            except Interrupted as interrupted:
                await self._later(row.id, interrupted.why, interrupted.retry_after_s)
            except SessionGone:
                await self._session_gone(row.id)
            except QuotaUsedUp as used_up:
                if not used_up.counted:
                    await self._quota.exhaust()
                await self._tomorrow(row.id)
            except Refused as refused:
                await self._fail(row.id, refused.failure)
            except (Unavailable, OSError) as error:
                # A file that cannot be read, a database that is busy: ours to mend, so it is tried again.
                await self._later(row.id, str(error), None)
            except SoundstageError as error:
                await self._fail(row.id, Failed(code=error.code, message=error.message, hint=error.hint))

    async def _with_token(self, row: Publication) -> None:
        """Once more with a new token when YouTube does not accept the old one."""
        if row.account_id is None:
            raise Refused(
                "publishing.account_gone",
                "The account that it was meant for is not connected any more.",
                "Publish again, to an account that is.",
            )
        for fresh in (False, True):
            token = await self._accounts.token(row.account_id, fresh=fresh)
            async with http_client(self._settings, self._accounts.listeners) as http:
                with suppress(TokenExpired):
                    await self._go_on(row.id, YouTube(http, str(self._settings.api_url), token))
                    return
        raise Interrupted("YouTube does not accept a fresh token")

    async def _go_on(self, publication_id: str, youtube: YouTube) -> None:
        row = await self._read(publication_id)
        if row is None:
            return
        async with self._db.session() as session:
            materials = await materials_of(session, row)
        if row.state == PublicationState.QUEUED:
            await self._move(row.id, PublicationState.UPLOADING)
        if row.state != PublicationState.PROCESSING:
            await self._upload(row, materials, youtube)
        await self._process(row.id, materials, youtube)

    async def _upload(self, row: Publication, materials: Materials, youtube: YouTube) -> None:
        path = await self._blobs.local_path(materials.video.sha256)
        session_url, received = await self._session(row, materials, youtube)
        total = materials.video.bytes
        while received.video is None:
            piece = await asyncio.to_thread(_read_piece, path, received.offset, self._piece_bytes)
            last = received.offset + len(piece) >= total
            if not await self._note_sent(row.id, received.offset, about_to_end=last):
                await self._cancel(row.id, session_url, youtube)
                return
            if not piece:
                raise Interrupted("YouTube has all bytes and does not say that it has the video")
            before = received.offset
            received = await youtube.send_piece(session_url, piece, before, total)
            if received.video is None and received.offset <= before:
                raise Interrupted("YouTube kept nothing of the last piece")
        await self._note_whole(row.id, str(received.video["id"]))

    async def _session(
        self, row: Publication, materials: Materials, youtube: YouTube
    ) -> tuple[str, Received]:
        """The address to send to, kept from before where there is one, and what has arrived there."""
        if row.session_url_sealed is not None:
            session_url = self._sealer.unseal(row.session_url_sealed)
            return session_url, await youtube.ask_session(session_url, materials.video.bytes)
        wishes = materials.wishes
        if wishes.publish_at is not None and wishes.publish_at <= utcnow():
            raise Refused(
                "publication.in_past",
                "The time at which YouTube should make it public has passed while it waited.",
                "Publish again, with another time.",
            )
        async with self._quota.spending(self._settings.upload_units):
            session_url = await youtube.start_session(
                video_resource(wishes), materials.video.bytes, notify=wishes.notify_subscribers
            )
        async with self._db.transaction() as session:
            fresh = await Publications(session).find(row.id)
            if fresh is not None:
                fresh.session_url_sealed = self._sealer.seal(session_url)
                fresh.sessions += 1
                fresh.bytes_sent, fresh.maybe_whole = 0, False
        return session_url, Received(0)

    async def _process(self, publication_id: str, materials: Materials, youtube: YouTube) -> None:
        row = await self._read(publication_id)
        if row is None or row.state != PublicationState.PROCESSING or row.video_id is None:
            return
        extras = ExtraUploads(self._db, self._journal, self._blobs, self._quota, self._settings)
        await extras.upload(row, materials, youtube)
        await self._quota.take(READ_UNITS)
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
            await self._ask_later(publication_id)
            return
        async with self._db.transaction() as session:
            fresh = await Publications(session).find(publication_id)
            if fresh is None:
                return
            privacy, requested = status.get("privacyStatus"), materials.wishes.privacy
            if privacy and privacy != requested and materials.wishes.publish_at is None:
                await self._journal.warn(
                    session,
                    fresh,
                    f"YouTube made it {privacy}, not {requested}: uploads of API projects that Google has "
                    "not audited stay private.",
                )
            await self._journal.move(session, fresh, PublicationState.PUBLISHED)

    @property
    def _piece_bytes(self) -> int:
        return self._settings.chunk_kib * 1024

    async def _read(self, publication_id: str) -> Publication | None:
        """None when it has ended or was deleted meanwhile."""
        async with self._db.session() as session:
            row = await Publications(session).find(publication_id)
        return row if row is not None and row.state in IN_HAND else None

    async def _move(self, publication_id: str, state: PublicationState) -> None:
        async with self._db.transaction() as session:
            row = await Publications(session).find(publication_id)
            if row is not None:
                tries = row.tries
                await self._journal.move(session, row, state)
                # A step that only begins again is no progress.
                row.tries = tries

    async def _note_sent(self, publication_id: str, offset: int, *, about_to_end: bool) -> bool:
        """False when somebody wants it cancelled."""
        async with self._db.transaction() as session:
            row = await Publications(session).find(publication_id)
            if row is None or row.cancel_requested:
                return False
            row.maybe_whole = about_to_end
            if offset > row.bytes_sent:
                row.bytes_sent, row.tries, row.waits = offset, 0, ""
                await self._journal.tell(
                    session, row, "publication.progress", bytes_sent=offset, bytes_total=row.bytes_total
                )
            return True

    async def _note_whole(self, publication_id: str, video_id: str) -> None:
        async with self._db.transaction() as session:
            row = await Publications(session).find(publication_id)
            if row is None:
                log.error("publication.orphan", publication=publication_id, video=video_id)
                return
            late = row.cancel_requested
            row.video_id, row.url = video_id, watch_url(video_id)
            row.bytes_sent, row.uploaded_at = row.bytes_total, utcnow()
            row.session_url_sealed, row.maybe_whole = None, False
            await self._journal.move(session, row, PublicationState.PROCESSING)
            if late:
                await self._journal.warn(
                    session, row, "It could not be cancelled any more: YouTube had the last byte already."
                )

    async def _cancel(self, publication_id: str, session_url: str, youtube: YouTube) -> None:
        with suppress(Trouble):
            await youtube.drop_session(session_url)
        async with self._db.transaction() as session:
            row = await Publications(session).find(publication_id)
            if row is not None and row.state == PublicationState.UPLOADING:
                row.session_url_sealed = None
                await self._journal.move(session, row, PublicationState.CANCELLED)

    async def _later(self, publication_id: str, why: str, requested_s: float | None) -> None:
        async with self._db.transaction() as session:
            row = await Publications(session).find(publication_id)
            if row is None or row.state not in IN_HAND:
                return
            if row.cancel_requested and row.state == PublicationState.UPLOADING:
                await self._journal.move(session, row, PublicationState.CANCELLED)
                return
            row.tries += 1
            if row.tries >= self._options.tries:
                failure = Failed(
                    code="publication.gave_up",
                    message=f"It did not get any further in {row.tries} tries; the last time {why}.",
                    hint="Retry when the connection is better.",
                )
                await self._journal.move(session, row, PublicationState.FAILED, error=failure)
                return
            delay_s = Backoff(self._options.first_wait_s, LONGEST_WAIT_S, JITTER).delay_s(row.tries)
            wait = min(max(delay_s, requested_s or 0.0), LONGEST_WAIT_S)
            row.next_at = utcnow() + timedelta(seconds=wait)
            row.waits = f"tries again in {wait:.0f} s: {why}"[:400]

    async def _session_gone(self, publication_id: str) -> None:
        """A new address, unless the video may be there: nobody wants it twice."""
        async with self._db.transaction() as session:
            row = await Publications(session).find(publication_id)
            if row is None or row.state not in IN_HAND:
                return
            if row.maybe_whole or row.sessions >= self._options.sessions:
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
                await self._journal.move(session, row, PublicationState.FAILED, error=error)
                return
            row.session_url_sealed, row.bytes_sent = None, 0
            row.next_at = utcnow() + timedelta(seconds=self._options.first_wait_s)
            row.waits = "begins again: YouTube does not know the upload any more"

    async def _tomorrow(self, publication_id: str) -> None:
        now = utcnow()
        async with self._db.transaction() as session:
            row = await Publications(session).find(publication_id)
            if row is None or row.state not in IN_HAND:
                return
            row.next_at = resets_at(now)
            waits = f"YouTube's quota of the day is used up; goes on at {row.next_at:%Y-%m-%d %H:%M} UTC"
            if row.state == PublicationState.UPLOADING:
                await self._journal.move(session, row, PublicationState.QUEUED, waits=waits)
            row.waits = waits

    async def _ask_later(self, publication_id: str) -> None:
        """The longer it takes, the longer the pauses: every question costs quota."""
        async with self._db.transaction() as session:
            row = await Publications(session).find(publication_id)
            if row is not None:
                age_s = (utcnow() - (row.uploaded_at or utcnow())).total_seconds()
                pause = min(max(self._options.ask_every_s, age_s / 4), LONGEST_WAIT_S)
                row.next_at, row.tries = utcnow() + timedelta(seconds=pause), 0
                row.waits = "YouTube is processing it"

    async def _fail(self, publication_id: str, failure: Failed) -> None:
        async with self._db.transaction() as session:
            row = await Publications(session).find(publication_id)
            if row is not None and row.state in IN_HAND:
                await self._journal.move(session, row, PublicationState.FAILED, error=failure)


def _read_piece(path: Path, offset: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(size)
