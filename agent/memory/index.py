"""An index over the meaning of the rows of one collection (FAISS); kept and brought to date by `indexes`.

The rows are the truth and the index is a copy of their vectors: it may be thrown away at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import faiss
import numpy as np

from agent.memory.sentence_model import DIMENSIONS, Array


def _empty() -> Any:
    # Exact: with ten thousand rows it takes less than sending the answer does.
    return faiss.IndexIDMap2(faiss.IndexFlatIP(DIMENSIONS))


@dataclass(slots=True)
class MeaningIndex:
    """`epoch` and `last_number` are those of the collection as its rows were read, `last_id` its last row."""

    model: str
    epoch: str
    last_number: int = 0
    last_id: str = ""
    written_rows: int = 0
    """How many rows the file of this index holds."""
    _index: Any = field(default_factory=_empty)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, numbers: Sequence[int], vectors: Array) -> None:
        """Unit vectors, (len(numbers), 384)."""
        if numbers:
            self._index.add_with_ids(np.ascontiguousarray(vectors), np.array(numbers, dtype=np.int64))
            self.last_number = max(self.last_number, *numbers)

    def search(self, vector: Array, limit: int) -> list[tuple[int, float]]:
        """The nearest rows by number, best first, each with its cosine."""
        count = min(limit, len(self))
        if not count:
            return []
        # For this very thread: waiting for another one takes a hundred times longer than the search.
        faiss.omp_set_num_threads(1)
        scores, numbers = self._index.search(vector.reshape(1, DIMENSIONS), count)
        return [(int(number), float(score)) for number, score in zip(numbers[0], scores[0], strict=True)]

    def content(self) -> bytes:
        """The form in which it is written to a file."""
        content: bytes = faiss.serialize_index(self._index).tobytes()
        return content

    @classmethod
    def of(cls, content: bytes, *, model: str, epoch: str, last_number: int, last_id: str) -> MeaningIndex:
        """From what `content` gave. Raises ValueError when it is no such index."""
        try:
            index = faiss.deserialize_index(np.frombuffer(content, dtype=np.uint8))
        except RuntimeError as error:
            raise ValueError("no FAISS index") from error
        if not isinstance(index, faiss.IndexIDMap2) or index.d != DIMENSIONS:
            raise ValueError("an index of another form")
        return cls(model, epoch, last_number, last_id, int(index.ntotal), index)
