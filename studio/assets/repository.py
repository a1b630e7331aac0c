"""All SQL on assets."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from sqlalchemy import func, select

from soundstage.database.repository import Repository
from soundstage.paging import Order, Page, PageRequest, both_ways, contains_words, select_page
from studio.assets.models import Asset, AssetTag
from studio.assets.schemas import AssetKind

AssetSort = Literal["-created", "created", "name", "-name", "bytes", "-bytes"]

ORDERS = both_ways(
    created=Order(Asset.id),
    name=Order(Asset.id, func.lower(Asset.name)),
    bytes=Order(Asset.id, Asset.bytes, int),
)


@dataclass(frozen=True, slots=True)
class AssetFilter:
    """Filter of a list of assets. Empty means all; `project` is an id or slug; an
    asset has all of `tags`.
    """

    sort: AssetSort = "-created"
    q: str | None = None
    kinds: Sequence[AssetKind] = ()
    project: str | None = None
    tags: Sequence[str] = ()


class Assets(Repository[Asset]):
    async def page(self, criteria: AssetFilter, project_id: str | None, request: PageRequest) -> Page[Asset]:
        where = contains_words(criteria.q, Asset.name, Asset.id, Asset.media_type)
        if criteria.kinds:
            where.append(Asset.kind.in_(criteria.kinds))
        if project_id is not None:
            where.append(Asset.project_id == project_id)
        where += [Asset.tags.any(AssetTag.tag == tag) for tag in criteria.tags]
        return await select_page(
            self._session, Asset, ORDERS[criteria.sort], request, where=where, scope=asdict(criteria)
        )

    async def tags(self, limit: int) -> list[tuple[str, int]]:
        """Each tag with the number of its assets, by name."""
        query = select(AssetTag.tag, func.count(AssetTag.asset_id)).group_by(AssetTag.tag)
        return [
            (tag, count)
            for tag, count in await self._session.execute(query.order_by(AssetTag.tag).limit(limit))
        ]

    async def with_bytes(self, hashes: Collection[str]) -> Sequence[Asset]:
        return await self._all(select(Asset).where(Asset.sha256.in_(hashes)))

    async def list_unprobed(self, without: Collection[str], limit: int) -> Sequence[str]:
        """Returns the ids of assets that were not probed yet, oldest first; avatars are no media."""
        state = Asset.details[("probe", "state")].as_string()
        query = select(Asset.id).where(state.is_(None), Asset.kind != "model", Asset.id.not_in(without))
        return await self._all(query.order_by(Asset.created_at, Asset.id).limit(limit))
