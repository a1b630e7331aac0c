"""Turns texts into vectors beside the event loop; loads the model when the first text comes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from soundstage.errors import SoundstageError
from soundstage.telemetry import get_logger

if TYPE_CHECKING:
    # NumPy and FAISS take half a second to load: most commands need neither.
    from agent.memory.sentence_model import Array, SentenceModel


class Encoder:
    """One model per process, shared by everybody."""

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
        return await asyncio.to_thread(self._encode, texts)

    def _encode(self, texts: Sequence[str]) -> Array:
        return self._loaded().encode(texts)

    def _loaded(self) -> SentenceModel:
        with self._lock:
            if self._failed is not None:
                raise self._failed
            if self._model is None:
                from agent.memory.sentence_model import SentenceModel

                try:
                    self._model = SentenceModel.load()
                except SoundstageError as error:
                    # Looked for once: whoever installs it starts the process again.
                    self._failed = error
                    get_logger(__name__).warning("memories are found by words only", code=error.code)
                    raise
            return self._model
