"""Makes small pictures of posters, frames and uploaded pictures; each once, and keeps it as a blob.

The blob is held by the owner of the original, so it goes when that goes.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Set
from enum import IntEnum
from pathlib import Path

from soundstage.blobs import BlobStore
from soundstage.database import Database
from soundstage.errors import Invalid, NotFound
from soundstage.programs import run_program
from soundstage.tasks import finish
from soundstage.telemetry.logs import get_logger
from studio.references.dropping import drop_unheld
from studio.references.repository import References
from studio.renditions.refusals import missing_rendition, rendition_refusals
from studio.renditions.single_flight import Bounds, SingleFlight
from studio.thumbnails import draw

BOUNDS = Bounds(running=2, pending=1024, running_of_tenant=2, pending_of_tenant=256)
"""Many may wait: a page asks for all pictures of a list at once, and each takes a tenth of a second."""
TIME_LIMIT_S = 20.0
WAIT_S = 60.0
MEDIA_TYPE = "image/webp"


class ThumbnailWidth(IntEnum):
    """The widths there are, in pixels: more would be stored for every picture."""

    TINY = 160
    SMALL = 320
    MEDIUM = 640
    LARGE = 1280


class Thumbnails:
    """`close` with the process."""

    def __init__(self, db: Database, blobs: BlobStore) -> None:
        self._db = db
        self._blobs = blobs
        self._single_flight = SingleFlight("thumbnail", BOUNDS)
        self._log = get_logger(__name__)

    async def open(self, owner: str, sha256: str, width: ThumbnailWidth) -> tuple[str, Path]:
        """Return hash and path of the thumbnail of a blob that `owner` holds. Raises Invalid
        (`thumbnail.too_large`), NotFound (`thumbnail.not_a_picture`, `rendition.gone`) and Unavailable
        (`rendition.not_ready`, `rendition.busy`, `rendition.stopped`).
        """
        role = f"thumbnail:{int(width)}:{sha256.removeprefix('sha256:')[:12]}"
        if (found := await self._stored(owner, role)) is not None:
            return found

        async def make(_: Set[str]) -> None:
            drawn = await self._drawn(await self._blobs.local_path(sha256), width)
            await finish(self._keep(owner, role, sha256, drawn))

        await self._single_flight.wait(
            f"{owner}/{role}", owner, make, WAIT_S, rendition_refusals("thumbnail")
        )
        if (found := await self._stored(owner, role)) is None:
            raise await missing_rendition(self._db, owner, sha256)
        return found

    async def cancel(self, owners: Collection[str]) -> None:
        """Draws nothing more for them; work for no other owner has ended when this returns."""
        await self._single_flight.cancel(owners)

    async def close(self) -> None:
        await self._single_flight.close()

    async def _keep(self, owner: str, role: str, sha256: str, drawn: bytes) -> None:
        """Let the owner hold it where it still holds the original; otherwise nothing is kept."""
        blob = await self._blobs.put_bytes(drawn, MEDIA_TYPE)
        try:
            async with self._db.transaction() as session:
                references = References(session)
                if sha256 in await references.sizes_of(owner):
                    await references.hold(owner, role, blob.sha256, blob.bytes)
        finally:
            await drop_unheld(self._db, self._blobs, blob.sha256)

    async def _stored(self, owner: str, role: str) -> tuple[str, Path] | None:
        async with self._db.session() as session:
            held = dict(await References(session).holds_of_owner(owner))
        if (sha256 := held.get(role)) is None:
            return None
        try:
            return sha256, await self._blobs.local_path(sha256)
        except NotFound:
            # Lost from the store: it is made again.
            return None

    async def _drawn(self, picture: Path, width: ThumbnailWidth) -> bytes:
        command = (sys.executable, "-I", draw.__file__, picture, str(int(width)))
        try:
            code, drawn, complaint = await run_program(*command, limit_s=TIME_LIMIT_S)
        except TimeoutError:
            code, drawn, complaint = draw.UNREADABLE, b"", b"it took too long"
        if code == draw.TOO_LARGE:
            raise Invalid(
                "thumbnail.too_large",
                f"The picture has more than {draw.MAX_PIXELS // 1_000_000} megapixels.",
                "Open the file itself, or upload a smaller one.",
            )
        if code != 0:
            why = complaint.decode(errors="replace").strip()[-300:]
            self._log.info("no thumbnail could be drawn", why=why)
            raise not_a_picture()
        return drawn


def not_a_picture() -> NotFound:
    return NotFound(
        "thumbnail.not_a_picture",
        "There is no small picture of this: it is no picture that can be read.",
        "JPEG, PNG, WebP, GIF and BMP have one.",
    )
