"""Recognisers of a worker process, each for one sentence at a time; called by `listening`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent.voice.recogniser import CommandRecogniser
from agent.voice.spoken_grammar import SpokenGrammar

MAX_IDLE = 4
"""More recognisers than this end when nobody speaks: each takes about 60 MB."""


class Recognisers:
    """A pool. A recogniser that has a grammar loaded already is preferred for it."""

    def __init__(self) -> None:
        self._idle: list[tuple[SpokenGrammar, CommandRecogniser]] = []

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
