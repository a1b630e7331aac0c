"""A file that nobody holds goes, and one that somebody begins to hold stays; voices and assets come here.

A folder spares what was put again since somebody looked; a bucket knows no such condition. So both sides
write down what they are about to do before they look at what the other has written: at least one of them sees
it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from soundstage.blobs import BlobStore
from soundstage.database import Database, utcnow
from soundstage.database.tenants import bypass_tenant_filter
from studio.references.repository import References

LOOK_S = 0.1


async def drop_unheld(db: Database, blobs: BlobStore, sha256: str) -> None:
    """Removes the file, unless somebody of whatever tenant holds it, or is about to."""
    looked_at = utcnow()
    async with db.transaction() as session:
        intent = await References(session).intend_to_drop(sha256)
    try:
        async with db.session() as session:
            with bypass_tenant_filter():
                holders = await References(session).holders({sha256})
        if not holders:
            await blobs.delete(sha256, unless_modified_since=looked_at)
    finally:
        async with db.transaction() as session:
            await References(session).release(intent)


async def drop_late_holds(db: Database, blobs: BlobStore, owners: Collection[str]) -> None:
    """Remove what owners hold that are gone: it was made for them while they were removed."""
    async with db.transaction() as session:
        references = References(session)
        late = await references.all_held_by(owners)
        for owner in owners if late else ():
            await references.release(owner)
    for sha256 in sorted(late):
        await drop_unheld(db, blobs, sha256)


async def stays(db: Database, blobs: BlobStore, sha256: str) -> bool:
    """For who has written down a hold: whether the file is there, and nobody takes it for unheld any more.

    Who had looked before that is waited for. A process that was killed in the midst of dropping it makes this
    take `DROP_LASTS`.
    """
    while await _is_being_dropped(db, sha256):  # noqa: ASYNC110 - it may be another process that drops it
        await asyncio.sleep(LOOK_S)
    return await blobs.touch(sha256)


async def _is_being_dropped(db: Database, sha256: str) -> bool:
    async with db.session() as session:
        return await References(session).is_being_dropped(sha256)
