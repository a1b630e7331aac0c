"""All SQL on assets."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from studio.assets.models import Asset


class Assets:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, asset: Asset) -> Asset:
        self._session.add(asset)
        await self._session.flush()
        return asset

    async def find(self, asset_id: str) -> Asset | None:
        return await self._session.get(Asset, asset_id)

    async def list(self, project_id: str | None, kind: str | None, limit: int) -> Sequence[Asset]:
        """Newest first; None asks for all."""
        query = select(Asset).order_by(Asset.created_at.desc(), Asset.id.desc()).limit(limit)
        if project_id is not None:
            query = query.where(Asset.project_id == project_id)
        if kind is not None:
            query = query.where(Asset.kind == kind)
        return (await self._session.scalars(query)).all()

    async def with_bytes(self, hashes: Collection[str]) -> Sequence[Asset]:
        return (await self._session.scalars(select(Asset).where(Asset.sha256.in_(hashes)))).all()

    async def unprobed(self, without: Collection[str], limit: int) -> Sequence[str]:
        """Ids of those that nobody has looked into, oldest first."""
        state = Asset.details[("probe", "state")].as_string()
        query = select(Asset.id).where(state.is_(None), Asset.id.not_in(without))
        return (await self._session.scalars(query.order_by(Asset.created_at, Asset.id).limit(limit))).all()

    async def remove(self, asset: Asset) -> None:
        await self._session.delete(asset)
        await self._session.flush()
