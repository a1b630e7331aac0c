"""All SQL on brand kits."""

from __future__ import annotations

import unicodedata
from dataclasses import asdict, dataclass
from typing import Literal

from sqlalchemy import func, or_, select

from soundstage.database.repository import Repository
from soundstage.paging import Order, Page, PageRequest, both_ways, contains_words, select_page
from studio.brands.models import Brand

BrandSort = Literal["name", "-name", "-created", "created"]

ORDERS = both_ways(name=Order(Brand.id, Brand.key), created=Order(Brand.id))


@dataclass(frozen=True, slots=True)
class BrandFilter:
    sort: BrandSort = "name"
    q: str | None = None


class Brands(Repository[Brand]):
    async def find(self, ref: str) -> Brand | None:
        """By id, or by name without case."""
        return await self._session.scalar(
            select(Brand).where(or_(Brand.id == ref, Brand.key == key_of(ref))).limit(1)
        )

    async def page(self, criteria: BrandFilter, request: PageRequest) -> Page[Brand]:
        where = contains_words(criteria.q, Brand.name, Brand.id)
        return await select_page(
            self._session, Brand, ORDERS[criteria.sort], request, where=where, scope=asdict(criteria)
        )

    async def count(self) -> int:
        return await self._count(select(func.count(Brand.id)))


def key_of(name: str) -> str:
    """Returns the name as names are compared: “HARBOUR” and “Harbour” are one."""
    return unicodedata.normalize("NFC", name).casefold().strip()
