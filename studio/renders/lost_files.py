"""Finds stored files that are damaged or gone, deletes damaged ones, and names lost uploads in an error.
Called by the maker of renders, which makes lost steps again, and by the pool of segments.
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
"""Failure codes that may be caused by a missing or corrupt blob."""

RECREATED = Notice(
    code="render.made_again",
    message="A stored file of an earlier step was damaged or gone, so that step was made again.",
)

log = get_logger(__name__)


class LostFiles:
    """Checks stored files. Deletes a damaged one at once, so that the correct file can be stored under its
    hash again.
    """

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    async def find_lost(self, hashes: Collection[str]) -> set[str]:
        """Returns the hashes of files that are gone or damaged. Deletes the damaged ones."""
        return {sha256 for sha256 in sorted(hashes) if not await self._is_whole(sha256)}

    async def refuse_lost_media(self, spec: RenderSpec | LipsyncSpec) -> None:
        """Raises TaskFailed for the first lost file of the spec that must be uploaded again."""
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
