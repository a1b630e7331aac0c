"""Keeps an index per shelf and brings it to the state of the rows whenever the service asks for it.

An index is taken from this process, else from its file, else made from the rows. It is good as far as it goes
when nothing was forgotten since; the rows that it lacks are added. So a process that dies between a row and
its index, another process that writes, and a broken file all come to the same: it catches up.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.memory.encoder import Encoder
from agent.memory.index_files import IndexFiles
from agent.memory.models import Memory, MemoryShelf
from agent.memory.repository import Memories
from soundstage.database import Database
from soundstage.telemetry import get_logger

if TYPE_CHECKING:
    from agent.memory.index import MeaningIndex
    from agent.memory.sentence_model import Array

ROWS_AT_ONCE = 500
MOST_ENCODED = 500
"""Rows without a vector (written while there was no model) that one call brings in: seconds, not minutes."""
INDEXES_IN_MEMORY = 32
WRITTEN_AGAIN = 0.02
"""A file is written again when this share of its rows is missing in it."""


class Indexes:
    """Safe for any number of tasks and processes; the indexes of the shelves used last stay in memory.

    What is under way goes on when its caller is cancelled: a thread cannot be stopped, and the lock of its
    shelf must be held as long as it adds or writes. Else a file could come back after its rows are forgotten.
    """

    def __init__(self, database: Database, encoder: Encoder, files: IndexFiles) -> None:
        self._database = database
        self._encoder = encoder
        self._files = files
        self._kept: OrderedDict[str, MeaningIndex] = OrderedDict()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def search(self, shelf_id: str, vector: Array, limit: int) -> list[tuple[int, float]]:
        """(number of the row, cosine), best first."""
        return await asyncio.shield(self._search(shelf_id, vector, limit))

    async def catch_up(self, shelf_id: str) -> None:
        """After rows were added or forgotten: the next search has nothing left to do."""
        await asyncio.shield(self._catch_up(shelf_id))

    async def drop(self, shelf_ids: Sequence[str]) -> None:
        """Before rows are forgotten, and after: whatever holds them here goes."""
        for shelf_id in shelf_ids:
            async with self._locks[shelf_id]:
                self._kept.pop(shelf_id, None)
                await asyncio.to_thread(self._files.remove, shelf_id)

    async def _search(self, shelf_id: str, vector: Array, limit: int) -> list[tuple[int, float]]:
        async with self._locks[shelf_id]:
            index = await self._current(shelf_id)
            return [] if index is None else index.search(vector, limit)

    async def _catch_up(self, shelf_id: str) -> None:
        async with self._locks[shelf_id]:
            await self._current(shelf_id)

    async def _current(self, shelf_id: str) -> MeaningIndex | None:
        """None for a shelf that is gone."""
        async with self._database.session() as session:
            shelf = await Memories(session).shelf(shelf_id)
        if shelf is None:
            return None
        index = self._kept.get(shelf_id) or await self._read(shelf)
        if index is None or not _is_of(index, shelf):
            index = _new(shelf)
        await self._extend(index, shelf)
        self._keep(shelf_id, index)
        if len(index) - index.written_rows > WRITTEN_AGAIN * index.written_rows:
            await self._write(shelf_id, index)
        return index

    async def _read(self, shelf: MemoryShelf) -> MeaningIndex | None:
        try:
            index = await asyncio.to_thread(self._files.read, shelf.id)
        except (OSError, ValueError) as error:
            get_logger(__name__).warning("index of memories made anew", shelf=shelf.id, reason=str(error))
            return None
        if index is not None and index.last_id:
            # Numbers come again after a restore of an older database; ids do not.
            async with self._database.session() as session:
                if not await Memories(session).some([shelf.id], [index.last_id]):
                    return None
        return index

    async def _extend(self, index: MeaningIndex, shelf: MemoryShelf) -> None:
        """Adds the rows after the last one. Ends early when many of them have no vector yet."""
        encoded = 0
        while index.last_number < shelf.last_number and encoded < MOST_ENCODED:
            async with self._database.session() as session:
                rows = await Memories(session).after(shelf.id, index.last_number, ROWS_AT_ONCE)
            if not rows:
                # The last ones are forgotten.
                index.last_number = shelf.last_number
                return
            without = [row for row in rows if row.vector is None or row.model != index.model]
            if without:
                encoded += len(without)
                await self._encode(without, index.model)
            await asyncio.to_thread(_add, index, rows)

    async def _encode(self, rows: Sequence[Memory], model: str) -> None:
        vectors = await self._encoder.encode([row.text for row in rows])
        async with self._database.transaction() as session:
            for row, vector in zip(rows, vectors, strict=True):
                row.vector, row.model = vector.astype("<f4").tobytes(), model
                await Memories(session).keep_vector(row, row.vector, model)

    async def _write(self, shelf_id: str, index: MeaningIndex) -> None:
        try:
            await asyncio.to_thread(self._files.write, shelf_id, index)
        except OSError as error:
            # It is a copy: without it the next process reads the rows.
            get_logger(__name__).warning("index of memories not written", shelf=shelf_id, reason=str(error))
            return
        async with self._database.session() as session:
            shelf = await Memories(session).shelf(shelf_id)
        if shelf is None or shelf.epoch != index.epoch:
            # Another process forgot something meanwhile, and this file may hold it.
            await asyncio.to_thread(self._files.remove, shelf_id)

    def _keep(self, shelf_id: str, index: MeaningIndex) -> None:
        self._kept[shelf_id] = index
        self._kept.move_to_end(shelf_id)
        while len(self._kept) > INDEXES_IN_MEMORY:
            self._kept.popitem(last=False)


def _is_of(index: MeaningIndex, shelf: MemoryShelf) -> bool:
    from agent.memory.sentence_model import NAME

    return index.epoch == shelf.epoch and index.last_number <= shelf.last_number and index.model == NAME


def _new(shelf: MemoryShelf) -> MeaningIndex:
    from agent.memory.index import MeaningIndex
    from agent.memory.sentence_model import NAME

    return MeaningIndex(NAME, shelf.epoch)


def _add(index: MeaningIndex, rows: Sequence[Memory]) -> None:
    import numpy as np

    vectors = np.stack([np.frombuffer(row.vector or b"", dtype="<f4") for row in rows])
    index.add([row.number for row in rows], vectors.astype(np.float32))
    index.last_id = rows[-1].id
