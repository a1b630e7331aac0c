"""All SQL of the memory; used by its service and by the indexes only."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import and_, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from agent.memory.models import Memory, MemoryShelf, MemoryTelling

MOST_NAMED = 500
"""SQLite takes a limited number of values in one statement."""


class Memories:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def shelf(self, shelf_id: str) -> MemoryShelf | None:
        return await self._session.get(MemoryShelf, shelf_id)

    async def shelves(
        self, tenant: str, subject: str, persona_ids: Collection[str] | None = None
    ) -> Sequence[MemoryShelf]:
        """Those of one owner; only those of some personas when these are given."""
        query = select(MemoryShelf).where(MemoryShelf.tenant == tenant, MemoryShelf.subject == subject)
        if persona_ids is not None:
            query = query.where(MemoryShelf.persona_id.in_(persona_ids))
        return (await self._session.scalars(query.order_by(MemoryShelf.persona_id))).all()

    async def add(self, row: Memory | MemoryShelf) -> None:
        self._session.add(row)
        await self._session.flush()

    async def count(self, tenant: str, subject: str) -> int:
        """Returns how much is remembered for one owner in all."""
        query = (
            select(func.count())
            .select_from(Memory)
            .join(MemoryShelf, MemoryShelf.id == Memory.shelf_id)
            .where(MemoryShelf.tenant == tenant, MemoryShelf.subject == subject)
        )
        return await self._session.scalar(query) or 0

    async def same(self, shelf_id: str, text_sha256: str) -> Memory | None:
        """Returns what is remembered already in these very words."""
        query = select(Memory).where(Memory.shelf_id == shelf_id, Memory.text_sha256 == text_sha256)
        found: Memory | None = await self._session.scalar(query)
        return found

    async def newest(self, shelf_ids: Collection[str], limit: int | None = None) -> Sequence[Memory]:
        query = select(Memory).where(Memory.shelf_id.in_(shelf_ids))
        query = query.order_by(Memory.created_at.desc(), Memory.id.desc())
        return (await self._session.scalars(query.limit(limit))).all()

    async def after(self, shelf_id: str, number: int, limit: int) -> Sequence[Memory]:
        """The next rows of a shelf in the order of their numbers."""
        query = select(Memory).where(Memory.shelf_id == shelf_id, Memory.number > number)
        return (await self._session.scalars(query.order_by(Memory.number).limit(limit))).all()

    async def numbered(self, shelf_id: str, numbers: Collection[int]) -> Sequence[Memory]:
        query = select(Memory).where(
            Memory.shelf_id == shelf_id, Memory.number.in_(list(numbers)[:MOST_NAMED])
        )
        return (await self._session.scalars(query)).all()

    async def texts(self, shelf_ids: Collection[str]) -> Sequence[tuple[str, str]]:
        """(id, text) of all that is remembered."""
        query = select(Memory.id, Memory.text).where(Memory.shelf_id.in_(shelf_ids))
        return [(row.id, row.text) for row in await self._session.execute(query)]

    async def some(self, shelf_ids: Collection[str], ids: Collection[str]) -> Sequence[Memory]:
        """Those of the ids that stand on these shelves."""
        query = select(Memory).where(Memory.shelf_id.in_(shelf_ids), Memory.id.in_(list(ids)[:MOST_NAMED]))
        return (await self._session.scalars(query)).all()

    async def told_in(self, memory_id: str, session_id: str, turn: int) -> None:
        """Notes the turn in which somebody asked for it."""
        await self._session.merge(MemoryTelling(memory_id=memory_id, session_id=session_id, turn=turn))
        await self._session.flush()

    async def tellings(self, ids: Collection[str]) -> Sequence[tuple[str, int]]:
        """The turns in which any of these were told."""
        wanted, found = list(ids), []
        for start in range(0, len(wanted), MOST_NAMED):
            some = wanted[start : start + MOST_NAMED]
            query = select(MemoryTelling.session_id, MemoryTelling.turn)
            rows = await self._session.execute(query.where(MemoryTelling.memory_id.in_(some)))
            found += [(row.session_id, row.turn) for row in rows]
        return found

    async def keep_vector(self, row: Memory, vector: bytes, model: str) -> None:
        """A row that was forgotten meanwhile stays forgotten."""
        statement = update(Memory).where(Memory.id == row.id).values(vector=vector, model=model)
        await self._session.execute(statement)

    async def forget(self, shelves: Sequence[MemoryShelf], ids: Collection[str] | None, epoch: str) -> int:
        """Removes those of the ids that stand on these shelves, or all; the count of what is gone."""
        gone = 0
        for shelf in shelves:
            here = Memory.shelf_id == shelf.id
            if ids is not None:
                here = and_(here, Memory.id.in_(list(ids)[:MOST_NAMED]))
            count = await self._session.scalar(select(func.count()).select_from(Memory).where(here)) or 0
            if count:
                await self._session.execute(delete(Memory).where(here))
                shelf.epoch = epoch
                gone += count
        return gone
