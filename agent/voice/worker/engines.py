"""Recognisers of a worker process, each for one sentence at a time; called by `listening`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from agent.voice.recogniser import CommandRecogniser
from agent.voice.sentence_recogniser import SentenceRecogniser
from agent.voice.spoken_grammar import SpokenGrammar
from soundstage.programs import run_program
from soundstage.telemetry import get_logger

MODEL_LIMIT_S = 600.0
MAX_IDLE = 4
"""More recognisers than this end when nobody speaks: each takes about 60 MB."""


class Recognisers:
    """A pool. A recogniser that has a grammar loaded already is preferred for it."""

    def __init__(self) -> None:
        self._idle: list[tuple[SpokenGrammar, CommandRecogniser]] = []
        self._sentences: SentenceRecogniser | None = None
        self._using_sentences = asyncio.Lock()

    async def load_sentences(self) -> None:
        """Loads the recogniser of sentences that are not in the grammar. Its model is estimated in a process
        of its own: that takes some seconds, and 250 MB.
        """
        with tempfile.NamedTemporaryFile(prefix="soundstage-", suffix=".arpa") as file:
            ended = await run_program(
                *(sys.executable, "-m", "agent.voice.language_model", file.name), limit_s=MODEL_LIMIT_S
            )
            if ended.code:
                complaint = ended.complaint.decode(errors="replace")[-1000:]
                get_logger(__name__).error("voice.no_language_model", code=ended.code, complaint=complaint)
                return
            self._sentences = await asyncio.to_thread(SentenceRecogniser, Path(file.name))

    @asynccontextmanager
    async def use_sentences(
        self, names: Mapping[str, Sequence[str]]
    ) -> AsyncIterator[SentenceRecogniser | None]:
        """Gives the recogniser of other sentences, with these names by kind; None while it is loaded."""
        async with self._using_sentences:
            if self._sentences is not None:
                await asyncio.to_thread(self._sentences.load, names)
            yield self._sentences

    @asynccontextmanager
    async def use(self, grammar: SpokenGrammar) -> AsyncIterator[CommandRecogniser]:
        """Gives a recogniser that listens for the sentences of `grammar`."""
        recogniser = await self._take(grammar)
        try:
            yield recogniser
        finally:
            if len(self._idle) < MAX_IDLE:
                self._idle.append((grammar, recogniser))

    async def _take(self, grammar: SpokenGrammar) -> CommandRecogniser:
        for place, (loaded, _) in enumerate(self._idle):
            if loaded is grammar:
                return self._idle.pop(place)[1]
        recogniser = self._idle.pop()[1] if self._idle else await asyncio.to_thread(CommandRecogniser)
        await asyncio.to_thread(recogniser.load, grammar)
        return recogniser
