"""Handles stored files that are damaged or gone: what was made is made again, what people brought
is named. Called by the maker of renders and by the pool of segments.
"""

from __future__ import annotations

from collections.abc import Collection

from avatar.spec import Failed, LipsyncSpec, Notice, RenderSpec

from farm.failures import TaskFailed
from soundstage.blobs import BlobStore
from soundstage.errors import NotFound
from soundstage.telemetry import get_logger
from studio.renders.media import media_in

DAMAGED_INPUT_CODES = frozenset(
    {
        "blob.not_found",
        "media.missing",
        "render.segment_missing",
        "render.segment_broken",
        "work.blob_damaged",
    }
)
"""Failures behind which there may be a stored file that is not what its name says."""

RECREATED = Notice(
    code="render.made_again",
    message="A stored file of an earlier step was damaged or gone, so that step was made again.",
)

log = get_logger(__name__)


class Mender:
    """A damaged file is removed from the store at once: it is of no use, and in the way of the good one."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    async def find_lost(self, hashes: Collection[str]) -> set[str]:
        """Returns the hashes of files that are gone or damaged."""
        return {sha256 for sha256 in sorted(hashes) if not await self._is_whole(sha256)}

    async def refuse_lost_media(self, spec: RenderSpec | LipsyncSpec) -> None:
        """Raises TaskFailed that names the first file of the spec which only people can bring again."""
        media = {ref.sha256: (where, ref.name) for where, ref in media_in(spec) if ref.sha256 is not None}
        for sha256 in sorted(await self.find_lost(media)):
            where, name = media[sha256]
            raise TaskFailed(
                Failed(
                    code="media.lost",
                    message=f"The stored file {name or sha256} ({where}) was damaged or is gone.",
                    hint="Upload it again, then retry the render.",
                )
            )

    async def _is_whole(self, sha256: str) -> bool:
        try:
            if await self._blobs.verify(sha256):
                return True
        except NotFound:
            return False
        log.error("render.blob_damaged", sha256=sha256)
        await self._blobs.delete(sha256)
        return False
