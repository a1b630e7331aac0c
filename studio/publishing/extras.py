"""Captions and thumbnail, once YouTube has the video; for the publisher. What fails is a warning only."""

from __future__ import annotations

from dataclasses import dataclass

from soundstage.blobs import BlobStore
from soundstage.database import Database
from soundstage.settings import YoutubeSettings
from studio.publishing.errors import Refused, TransientError, UploadSessionExpired
from studio.publishing.inputs import UploadInputs
from studio.publishing.journal import PublicationJournal
from studio.publishing.models import Publication
from studio.publishing.quota import UploadQuota
from studio.publishing.repository import Publications
from studio.publishing.youtube import YouTube

# developers.google.com/youtube/v3/docs/thumbnails/set
THUMBNAIL_BYTES = 2 << 20


@dataclass(frozen=True, slots=True)
class CaptionAndThumbnailUpload:
    db: Database
    journal: PublicationJournal
    blobs: BlobStore
    quota: UploadQuota
    settings: YoutubeSettings

    async def upload(self, row: Publication, inputs: UploadInputs, youtube: YouTube) -> None:
        """Each once. A cut in between repeats the one that was under way: the later one replaces it."""
        requested = {"vtt": inputs.request.captions, "poster": inputs.request.thumbnail}
        for role, is_requested in requested.items():
            if not is_requested or role not in inputs.outputs or role in row.extras_done:
                continue
            warning = ""
            try:
                await self._send(role, row.video_id or "", inputs, youtube)
            except Refused as refused:
                what = "captions" if role == "vtt" else "thumbnail"
                warning = f"The {what} could not be set: {refused.failure.message}"
            except UploadSessionExpired as gone:
                # Its own servers may not all know a new video yet.
                raise TransientError("YouTube does not find the video yet") from gone
            await self._note(row.id, role, warning)

    async def _send(self, role: str, video_id: str, inputs: UploadInputs, youtube: YouTube) -> None:
        output = inputs.outputs[role]
        if role == "poster" and output.bytes > THUMBNAIL_BYTES:
            raise Refused("publication.refused", "YouTube takes pictures of at most 2 MiB.", "")
        content = await self.blobs.read(output.sha256)
        if role == "vtt":
            async with self.quota.reserve(self.settings.caption_units):
                await youtube.add_captions(video_id, inputs.language, content)
        else:
            async with self.quota.reserve(self.settings.thumbnail_units):
                await youtube.set_thumbnail(video_id, content, output.media_type)

    async def _note(self, publication_id: str, role: str, warning: str) -> None:
        async with self.db.transaction() as session:
            row = await Publications(session).find(publication_id)
            if row is not None:
                row.extras_done = [*row.extras_done, role]
                row.tries = 0
                if warning:
                    await self.journal.warn(session, row, warning)
