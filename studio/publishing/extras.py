"""Captions and thumbnail, once YouTube has the video; for the publisher. What fails is a warning only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from soundstage.blobs import BlobStore
from soundstage.database import Database
from soundstage.settings import YoutubeSettings
from studio.consents.service import check_consents
from studio.publishing.errors import Refused, TransientError, UploadSessionExpired
from studio.publishing.journal import PublicationJournal
from studio.publishing.models import Publication
from studio.publishing.quota import UploadQuota
from studio.publishing.repository import Publications
from studio.publishing.schemas import PublishRequest
from studio.publishing.states import PublicationState
from studio.publishing.youtube import YouTube
from studio.renders.admission import consents_in
from studio.renders.making import spec_of
from studio.renders.models import RenderOutput
from studio.renders.repository import Renders

# developers.google.com/youtube/v3/docs/thumbnails/set
THUMBNAIL_BYTES = 2 << 20


DEFAULT_LANGUAGE = "en"


@dataclass(frozen=True, slots=True)
class UploadInputs:
    """The files, metadata and consents of a publication, which are looked up anew before every step."""

    request: PublishRequest
    video: RenderOutput
    outputs: Mapping[str, RenderOutput]
    language: str


async def load_inputs(session: AsyncSession, row: Publication) -> UploadInputs:
    """Raises Refused when the render is gone, and `consent.revoked` when a consent was revoked."""
    render = await Renders(session).find(row.render_id) if row.render_id else None
    outputs = (
        {output.role: output for output in await Renders(session).outputs([render.id])} if render else {}
    )
    if render is None or "video" not in outputs:
        raise Refused(
            "publication.render_gone",
            "The render was deleted before its video was published.",
            "Make the video again, then publish that.",
        )
    if row.state != PublicationState.PROCESSING:
        await check_consents(session, consents_in(spec_of(render)))
    request = PublishRequest.model_validate(row.wishes)
    spoken = next((scene.get("language") for scene in render.spec.get("scenes", ())), None)
    return UploadInputs(request, outputs["video"], outputs, request.language or spoken or DEFAULT_LANGUAGE)


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
