"""Deletes blobs without references, safely against a reference that is added at the same time; called for
voices, assets and renditions.

The folder store can delete conditionally (`unless_modified_since`); S3 cannot. So both sides record their
intent in the database before they read that of the other: at least one of them sees it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from soundstage.blobs import BlobStore
from soundstage.database import Database, utcnow
from soundstage.database.tenants import bypass_tenant_filter
from studio.references.repository import References

POLL_S = 0.1


async def drop_unheld(db: Database, blobs: BlobStore, sha256: str) -> None:
    """Deletes the blob, unless it has a reference of any tenant, or one is being added."""
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
    """Releases references of owners that were deleted meanwhile, and deletes blobs that have no other."""
    async with db.transaction() as session:
        references = References(session)
        late = await references.all_held_by(owners)
        for owner in owners if late else ():
            await references.release(owner)
    for sha256 in sorted(late):
        await drop_unheld(db, blobs, sha256)


async def confirm_hold(db: Database, blobs: BlobStore, sha256: str) -> bool:
    """Waits for deletions in progress, then returns whether the blob exists. Call it after adding a
    reference.

    After the crash of a process that was deleting the blob this takes `DROP_LASTS`.
    """
    while await _is_being_dropped(db, sha256):  # noqa: ASYNC110 - another process may be deleting it
        await asyncio.sleep(POLL_S)
    return await blobs.touch(sha256)


async def _is_being_dropped(db: Database, sha256: str) -> bool:
    async with db.session() as session:
        return await References(session).is_being_dropped(sha256)
