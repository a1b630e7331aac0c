"""Keeps the latest picture of a render in the making, and only that one; called by the maker.

The last one stays with its render: whoever was told of it a moment ago may still ask for it.
"""

from __future__ import annotations

import base64
import binascii

from avatar.spec import PreviewFrame

from soundstage.blobs import Blob, BlobStore
from soundstage.database import Database
from soundstage.database.tenants import bypass_tenant_filter
from studio.references.repository import References
from studio.renders.schemas import Preview

ROLE = "preview"
JPEG_BEGINS = b"\xff\xd8\xff"


class Previews:
    """Pictures lie in the blob store, held by their render."""

    def __init__(self, db: Database, blobs: BlobStore) -> None:
        self._db = db
        self._blobs = blobs

    async def keep(self, render_id: str, line: PreviewFrame) -> Preview | None:
        """Stores the picture in the place of the one before; None for what is no JPEG."""
        try:
            jpeg = base64.b64decode(line.jpeg, validate=True)
        except binascii.Error:
            return None
        if not jpeg.startswith(JPEG_BEGINS):
            return None
        blob = await self._blobs.put_bytes(jpeg, "image/jpeg")
        await self._replace(render_id, blob)
        return Preview(
            scene=line.scene,
            frame=line.frame,
            sha256=blob.sha256,
            # The number is there for browsers, which would show a picture of the same address again.
            url=f"/api/renders/{render_id}/preview?frame={line.frame}",
        )

    async def _replace(self, render_id: str, new: Blob) -> None:
        owner = f"render:{render_id}"
        async with self._db.transaction() as session:
            references = References(session)
            held = await references.holds_of_owner(owner)
            old = {sha256 for role, sha256 in held if role == ROLE} - {new.sha256}
            if old:
                await references.drop_holds(owner, old)
            await references.hold(owner, ROLE, new.sha256, new.bytes)
            # Another render that is made of the same scene shows the same picture.
            with bypass_tenant_filter():
                free = old - await references.filter_held_by_others(old, ())
        for sha256 in free:
            await self._blobs.delete(sha256)
