"""All SQL on blob references and derivations; used by every service that stores or deletes files."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, select

from soundstage.database import utcnow
from soundstage.database.repository import Queries
from soundstage.database.tenants import bypass_tenant_filter, require_tenant
from studio.references.models import BlobReference, Derivation

RECORDING = "recording:"
BROUGHT = ("asset:", "persona:", "scene:", "project:", "version:", "brand:", "render:", RECORDING)
"""Owners of pictures and sounds that people know of; not among them: consents, segments."""


UPLOAD = "upload:"
UPLOAD_LASTS = timedelta(hours=1)
"""A hold of an upload that is older is left of a process that was killed, and counts as none."""
DROP = "drop:"
DROP_LASTS = timedelta(minutes=2)
"""Longer than a store takes to delete a file, or to give it up; what is older is left of a killed process."""


class References(Queries):
    async def hold(self, owner: str, role: str, sha256: str, size: int) -> None:
        """Adds a reference of `owner` to a blob: `gc` spares it. Idempotent."""
        await self._session.merge(
            BlobReference(tenant=require_tenant(), sha256=sha256, owner=owner, role=role, bytes=size)
        )

    async def promise(self, sha256: str) -> str:
        """Holds it for an upload, until its owner does. Returns the temporary owner, to be released."""
        await self._session.execute(delete(BlobReference).where(_begun_before(UPLOAD, UPLOAD_LASTS)))
        return await self._begin(UPLOAD, sha256)

    async def intend_to_drop(self, sha256: str) -> str:
        """Announces a deletion to those who begin to hold the blob; it is no hold. Returns the temporary
        owner, to be released.
        """
        await self._session.execute(delete(BlobReference).where(_begun_before(DROP, DROP_LASTS)))
        return await self._begin(DROP, sha256)

    async def is_being_dropped(self, sha256: str) -> bool:
        """Returns whether a caller of any tenant intends to delete it."""
        with bypass_tenant_filter():
            found = await self._session.scalars(
                select(BlobReference.owner)
                .where(BlobReference.sha256 == sha256, _of(DROP), ~_begun_before(DROP, DROP_LASTS))
                .limit(1)
            )
        return found.first() is not None

    async def _begin(self, what: str, sha256: str) -> str:
        owner = f"{what}{_written(utcnow())}-{secrets.token_hex(8)}"
        await self.hold(owner, "file", sha256, 0)
        return owner

    async def drop_holds(self, owner: str, hashes: Collection[str]) -> None:
        """Some of its blobs only."""
        await self._session.execute(
            delete(BlobReference).where(BlobReference.owner == owner, BlobReference.sha256.in_(hashes))
        )

    async def holds_of_owner(self, owner: str) -> list[tuple[str, str]]:
        """Returns role and hash of each hold of an owner."""
        rows = await self._session.execute(
            select(BlobReference.role, BlobReference.sha256).where(BlobReference.owner == owner)
        )
        return [(role, sha256) for role, sha256 in rows]

    async def holders(self, hashes: Collection[str]) -> set[str]:
        return await self._set(
            select(BlobReference.owner).where(BlobReference.sha256.in_(hashes), _live()).distinct()
        )

    async def holds_of(self, sha256: str) -> list[tuple[str, str]]:
        """Owner and role of each hold of one blob."""
        rows = await self._session.execute(
            select(BlobReference.owner, BlobReference.role).where(BlobReference.sha256 == sha256, _live())
        )
        return [(owner, role) for owner, role in rows]

    async def sibling_holds(self, sha256: str, roles: Collection[str]) -> dict[str, tuple[str, int]]:
        """Returns hash and bytes, by role, of what owners of `sha256` hold in these roles."""
        owners = {owner for owner, _ in await self.holds_of(sha256)}
        rows = await self._session.execute(
            select(BlobReference.role, BlobReference.sha256, BlobReference.bytes).where(
                BlobReference.owner.in_(owners), BlobReference.role.in_(roles)
            )
        )
        return {row.role: (row.sha256, row.bytes) for row in rows}

    async def usable(self, hashes: Collection[str]) -> set[str]:
        """Returns those of `hashes` that this tenant may put into a video: what it has uploaded or made. To
        know a hash is no right: most blobs belong to others.
        """
        if not hashes:
            return set()
        query = select(BlobReference.sha256, BlobReference.owner, BlobReference.role).where(
            BlobReference.sha256.in_(hashes)
        )
        return {
            sha256
            for sha256, owner, role in await self._session.execute(query)
            if owner.startswith(BROUGHT) and role != "spec"
        }

    async def sizes_of(self, owner: str) -> dict[str, int]:
        """Hash and bytes of each blob it holds."""
        rows = await self._session.execute(
            select(BlobReference.sha256, BlobReference.bytes).where(BlobReference.owner == owner)
        )
        return {row.sha256: row.bytes for row in rows}

    async def all_held_by(self, owners: Collection[str]) -> set[str]:
        return await self._set(select(BlobReference.sha256).where(BlobReference.owner.in_(owners)))

    async def filter_held_by_others(self, hashes: Collection[str], owners: Collection[str]) -> set[str]:
        """Returns those of `hashes` that others than `owners` hold."""
        return await self._set(
            select(BlobReference.sha256)
            .where(BlobReference.sha256.in_(hashes), BlobReference.owner.not_in(owners), _live())
            .distinct()
        )

    async def filter_held_by_other_tenants(self, hashes: Collection[str]) -> set[str]:
        """Returns those of `hashes` that other tenants hold."""
        tenant = require_tenant()
        with bypass_tenant_filter():
            return await self._set(
                select(BlobReference.sha256)
                .where(BlobReference.sha256.in_(hashes), BlobReference.tenant != tenant, _live())
                .distinct()
            )

    async def all_hashes(self) -> set[str]:
        return await self._set(select(BlobReference.sha256).where(_live()).distinct())

    async def bytes_by_kind(self) -> dict[str, int]:
        """Bytes of the blobs that each kind of owner ("asset", "render") holds; once per kind and blob."""
        rows = await self._session.execute(
            select(BlobReference.owner, BlobReference.sha256, BlobReference.bytes).where(_live())
        )
        each = {(owner.partition(":")[0], sha256): size for owner, sha256, size in rows}
        totals: dict[str, int] = {}
        for (kind, _), size in each.items():
            totals[kind] = totals.get(kind, 0) + size
        return totals

    async def derive(self, owner: str, sources: Iterable[str]) -> None:
        """Records that `owner` was derived from `sources` (hashes, consents); withdrawal follows these edges.
        Idempotent.
        """
        for source in set(sources):
            await self._session.merge(Derivation(tenant=require_tenant(), owner=owner, source=source))

    async def find_derived(self, sources: Collection[str]) -> set[str]:
        return await self._set(select(Derivation.owner).where(Derivation.source.in_(sources)).distinct())

    async def release(self, owner: str) -> None:
        """Deletes all references and derivations of an owner."""
        await self._session.execute(delete(Derivation).where(Derivation.owner == owner))
        await self._session.execute(delete(BlobReference).where(BlobReference.owner == owner))


def _live() -> ColumnElement[bool]:
    """All but uploads that were begun too long ago, and what is no hold."""
    return and_(~_begun_before(UPLOAD, UPLOAD_LASTS), ~_of(DROP))


def _begun_before(what: str, lasts: timedelta) -> ColumnElement[bool]:
    """Their names sort by their time."""
    return and_(_of(what), BlobReference.owner < what + _written(utcnow() - lasts))


def _of(what: str) -> ColumnElement[bool]:
    return BlobReference.owner.startswith(what, autoescape=True)


def _written(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%S}"
