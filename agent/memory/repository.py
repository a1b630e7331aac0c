"""All SQL of the memory; used by its service and by the indexes only."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import and_, delete, func, select, update

from agent.memory.models import Memory, MemoryCollection, MemorySource
from soundstage.database.repository import Repository

MAX_VARIABLES = 500
"""SQLite takes a limited number of values in one statement."""


class Memories(Repository[Memory | MemoryCollection]):
    async def collection(self, collection_id: str) -> MemoryCollection | None:
        return await self._session.get(MemoryCollection, collection_id)

    async def collections(
        self, tenant: str, subject: str, persona_ids: Collection[str] | None = None
    ) -> Sequence[MemoryCollection]:
        """Returns the collections of one owner, or only those for `persona_ids`."""
        query = select(MemoryCollection).where(
            MemoryCollection.tenant == tenant, MemoryCollection.subject == subject
        )
        if persona_ids is not None:
            query = query.where(MemoryCollection.persona_id.in_(persona_ids))
        return await self._all(query.order_by(MemoryCollection.persona_id))

    async def count(self, tenant: str, subject: str) -> int:
        """Returns the number of memories of one owner."""
        query = (
            select(func.count())
            .select_from(Memory)
            .join(MemoryCollection, MemoryCollection.id == Memory.collection_id)
            .where(MemoryCollection.tenant == tenant, MemoryCollection.subject == subject)
        )
        return await self._count(query)

    async def same(self, collection_id: str, text_sha256: str) -> Memory | None:
        """Returns the memory with this very text."""
        query = select(Memory).where(Memory.collection_id == collection_id, Memory.text_sha256 == text_sha256)
        found: Memory | None = await self._session.scalar(query)
        return found

    async def newest(self, collection_ids: Collection[str], limit: int | None = None) -> Sequence[Memory]:
        query = select(Memory).where(Memory.collection_id.in_(collection_ids))
        query = query.order_by(Memory.created_at.desc(), Memory.id.desc())
        return await self._all(query.limit(limit))

    async def after(self, collection_id: str, number: int, limit: int) -> Sequence[Memory]:
        """Returns the next rows of a collection in the order of their numbers."""
        query = select(Memory).where(Memory.collection_id == collection_id, Memory.number > number)
        return await self._all(query.order_by(Memory.number).limit(limit))

    async def by_number(self, collection_id: str, numbers: Collection[int]) -> Sequence[Memory]:
        query = select(Memory).where(
            Memory.collection_id == collection_id, Memory.number.in_(list(numbers)[:MAX_VARIABLES])
        )
        return await self._all(query)

    async def texts(self, collection_ids: Collection[str]) -> Sequence[tuple[str, str]]:
        """Returns (id, text) of all memories."""
        query = select(Memory.id, Memory.text).where(Memory.collection_id.in_(collection_ids))
        return [(row.id, row.text) for row in await self._session.execute(query)]

    async def some(self, collection_ids: Collection[str], ids: Collection[str]) -> Sequence[Memory]:
        """Returns the memories with these ids in the collections."""
        query = select(Memory).where(
            Memory.collection_id.in_(collection_ids), Memory.id.in_(list(ids)[:MAX_VARIABLES])
        )
        return await self._all(query)

    async def add_source(self, memory_id: str, session_id: str, turn: int) -> None:
        """Adds a turn that asked for it."""
        await self._session.merge(MemorySource(memory_id=memory_id, session_id=session_id, turn=turn))
        await self._session.flush()

    async def source_turns(self, ids: Collection[str]) -> Sequence[tuple[str, int]]:
        """Returns the turns that asked for any of these."""
        all_ids, found = list(ids), []
        for start in range(0, len(all_ids), MAX_VARIABLES):
            some = all_ids[start : start + MAX_VARIABLES]
            query = select(MemorySource.session_id, MemorySource.turn)
            rows = await self._session.execute(query.where(MemorySource.memory_id.in_(some)))
            found += [(row.session_id, row.turn) for row in rows]
        return found

    async def store_vector(self, row: Memory, vector: bytes, model: str) -> None:
        """Stores an embedding. A row that was deleted meanwhile stays deleted."""
        statement = update(Memory).where(Memory.id == row.id).values(vector=vector, model=model)
        await self._session.execute(statement)

    async def forget(
        self, collections: Sequence[MemoryCollection], ids: Collection[str] | None, epoch: str
    ) -> int:
        """Deletes the memories with these ids in the collections, or all, and returns their count."""
        gone = 0
        for collection in collections:
            here = Memory.collection_id == collection.id
            if ids is not None:
                here = and_(here, Memory.id.in_(list(ids)[:MAX_VARIABLES]))
            count = await self._session.scalar(select(func.count()).select_from(Memory).where(here)) or 0
            if count:
                await self._session.execute(delete(Memory).where(here))
                collection.epoch = epoch
                gone += count
        return gone
