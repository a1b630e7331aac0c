"""Keeps an index per collection and updates it to the rows whenever the service asks for it.

An index comes from memory, else from its file, else from the rows. It is valid until rows are deleted; rows
that it lacks are added. A process that dies between a row and its index, another process that writes, and a
broken file are therefore one case: the index catches up.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.memory.index_files import IndexFiles
from agent.memory.models import Memory, MemoryCollection
from agent.memory.repository import Memories
from soundstage.database import Database
from soundstage.errors import SoundstageError
from soundstage.tasks import finish
from soundstage.telemetry import get_logger

if TYPE_CHECKING:
    # NumPy and FAISS take half a second to load: most commands need neither.
    from agent.memory.index import MeaningIndex
    from agent.memory.sentence_model import Array, SentenceModel

ROWS_AT_ONCE = 500
MAX_ENCODED = 500
"""Rows without a vector (written while there was no model) that one call brings in: seconds, not minutes."""
INDEXES_IN_MEMORY = 32
WRITTEN_AGAIN = 0.02
"""A file is written again when this share of its rows is missing in it."""


class Encoder:
    """One model per process, shared by all users."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._model: SentenceModel | None = None
        self._failed: SoundstageError | None = None

    async def missing(self) -> SoundstageError | None:
        """Returns why there is no model; None when it is there, and loaded."""
        try:
            await asyncio.to_thread(self._loaded)
        except SoundstageError as error:
            return error
        return None

    async def encode(self, texts: Sequence[str]) -> Array:
        """Unit vectors, (len(texts), 384). Raises Unavailable `memory.no_model` or `memory.model_changed`."""
        return await asyncio.to_thread(lambda: self._loaded().encode(texts))

    def _loaded(self) -> SentenceModel:
        with self._lock:
            if self._failed is not None:
                raise self._failed
            if self._model is None:
                from agent.memory.sentence_model import SentenceModel

                try:
                    self._model = SentenceModel.load()
                except SoundstageError as error:
                    # Searched once: an installation needs a restart of the process.
                    self._failed = error
                    get_logger(__name__).warning("memories are found by words only", code=error.code)
                    raise
            return self._model


class Indexes:
    """Safe for any number of tasks and processes; the indexes of the collections used last stay in memory.

    An operation ends before its caller is cancelled: a thread cannot be stopped, and the lock of its
    collection must be held while it adds or writes. Else a file could come back after its rows are deleted.
    """

    def __init__(self, database: Database, encoder: Encoder, files: IndexFiles) -> None:
        self._database = database
        self._encoder = encoder
        self._files = files
        self._cache: OrderedDict[str, MeaningIndex] = OrderedDict()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def search(self, collection_id: str, vector: Array, limit: int) -> list[tuple[int, float]]:
        """Returns (number of the row, cosine), best first."""
        return await finish(self._search(collection_id, vector, limit))

    async def catch_up(self, collection_id: str) -> None:
        """Updates the index after rows were added or deleted, so that the next search need not."""
        await finish(self._catch_up(collection_id))

    async def drop(self, collection_ids: Sequence[str]) -> None:
        """Drops the indexes in memory and on disk, before rows are deleted and after."""
        for collection_id in collection_ids:
            async with self._locks[collection_id]:
                self._cache.pop(collection_id, None)
                await asyncio.to_thread(self._files.remove, collection_id)

    async def _search(self, collection_id: str, vector: Array, limit: int) -> list[tuple[int, float]]:
        async with self._locks[collection_id]:
            index = await self._current(collection_id)
            return [] if index is None else index.search(vector, limit)

    async def _catch_up(self, collection_id: str) -> None:
        async with self._locks[collection_id]:
            await self._current(collection_id)

    async def _current(self, collection_id: str) -> MeaningIndex | None:
        """Returns the updated index; None for a deleted collection."""
        async with self._database.session() as session:
            collection = await Memories(session).collection(collection_id)
        if collection is None:
            return None
        index = self._cache.get(collection_id) or await self._read(collection)
        if index is None or not _is_of(index, collection):
            index = _new(collection)
        await self._extend(index, collection)
        self._store(collection_id, index)
        if len(index) - index.written_rows > WRITTEN_AGAIN * index.written_rows:
            await self._write(collection_id, index)
        return index

    async def _read(self, collection: MemoryCollection) -> MeaningIndex | None:
        try:
            index = await asyncio.to_thread(self._files.read, collection.id)
        except (OSError, ValueError) as error:
            get_logger(__name__).warning(
                "index of memories made anew", collection=collection.id, reason=str(error)
            )
            return None
        if index is not None and index.last_id:
            # A restore of an older database reuses numbers; ids are unique.
            async with self._database.session() as session:
                if not await Memories(session).some([collection.id], [index.last_id]):
                    return None
        return index

    async def _extend(self, index: MeaningIndex, collection: MemoryCollection) -> None:
        """Adds the rows after the last one. Ends early when many of them have no vector yet."""
        encoded = 0
        while index.last_number < collection.last_number and encoded < MAX_ENCODED:
            async with self._database.session() as session:
                rows = await Memories(session).after(collection.id, index.last_number, ROWS_AT_ONCE)
            if not rows:
                # The last ones are deleted.
                index.last_number = collection.last_number
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
                await Memories(session).store_vector(row, row.vector, model)

    async def _write(self, collection_id: str, index: MeaningIndex) -> None:
        try:
            await asyncio.to_thread(self._files.write, collection_id, index)
        except OSError as error:
            # It is a copy: without it the next process reads the rows.
            get_logger(__name__).warning(
                "index of memories not written", collection=collection_id, reason=str(error)
            )
            return
        async with self._database.session() as session:
            collection = await Memories(session).collection(collection_id)
        if collection is None or collection.epoch != index.epoch:
            # Another process deleted rows meanwhile, and this file may hold them.
            await asyncio.to_thread(self._files.remove, collection_id)

    def _store(self, collection_id: str, index: MeaningIndex) -> None:
        self._cache[collection_id] = index
        self._cache.move_to_end(collection_id)
        while len(self._cache) > INDEXES_IN_MEMORY:
            self._cache.popitem(last=False)


def _is_of(index: MeaningIndex, collection: MemoryCollection) -> bool:
    from agent.memory.sentence_model import NAME

    return (
        index.epoch == collection.epoch
        and index.last_number <= collection.last_number
        and index.model == NAME
    )


def _new(collection: MemoryCollection) -> MeaningIndex:
    from agent.memory.index import MeaningIndex
    from agent.memory.sentence_model import NAME

    return MeaningIndex(NAME, collection.epoch)


def _add(index: MeaningIndex, rows: Sequence[Memory]) -> None:
    import numpy as np

    vectors = np.stack([np.frombuffer(row.vector or b"", dtype="<f4") for row in rows])
    index.add([row.number for row in rows], vectors.astype(np.float32))
    index.last_id = rows[-1].id
