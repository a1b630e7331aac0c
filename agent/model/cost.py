"""Counts what an answer takes of language models, for the person and for metrics; used by ModelAnswers."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from agent.events import ModelUsage
from agent.model.backend import Piece, Usage
from soundstage.errors import SoundstageError
from soundstage.telemetry import metrics

STOPPED = "stopped"
"""The outcome of a request of which no more was read: its time was over, or it had said enough."""


def record_request(
    model: str, outcome: str, seconds: float, first_s: float | None, usage: Usage | None
) -> None:
    """Moves the metrics of one request; `outcome` is `ok` or the code of its error."""
    metrics.MODEL_REQUESTS.inc(model, outcome)
    metrics.MODEL_SECONDS.observe(seconds, model)
    if first_s is not None:
        metrics.MODEL_FIRST_PIECE.observe(first_s, model)
    if usage is not None:
        metrics.MODEL_TOKENS.inc(model, "prompt", by=usage.prompt_tokens)
        metrics.MODEL_TOKENS.inc(model, "cached", by=usage.cached_tokens)
        metrics.MODEL_TOKENS.inc(model, "answer", by=max(usage.tokens - usage.prompt_tokens, 0))


async def measure_request(model: str, stream: AsyncGenerator[Piece, None]) -> AsyncGenerator[Piece, None]:
    """Yields the pieces of one request outside of a conversation, and moves the metrics at its end."""
    started, first_s, usage, outcome = time.monotonic(), None, None, STOPPED
    try:
        async with aclosing(stream):
            async for piece in stream:
                first_s = first_s if first_s is not None else time.monotonic() - started
                usage = piece if isinstance(piece, Usage) else usage
                yield piece
        outcome = "ok"
    except SoundstageError as error:
        outcome = error.code
        raise
    finally:
        record_request(model, outcome, time.monotonic() - started, first_s, usage)


@dataclass(slots=True)
class ModelCost:
    """The requests of one answer so far."""

    model: str = ""
    requests: int = 0
    tokens: int = 0
    cached_tokens: int = 0
    seconds: float = 0.0

    def add(self, model: str, seconds: float, tokens: int, cached_tokens: int) -> None:
        self.model = model
        self.requests += 1
        self.tokens += tokens
        self.cached_tokens += cached_tokens
        self.seconds += seconds

    def usage(self) -> ModelUsage | None:
        """Returns the event's form; None where no model was asked."""
        if not self.requests:
            return None
        return ModelUsage(
            model=self.model,
            requests=self.requests,
            tokens=self.tokens,
            cached_tokens=self.cached_tokens,
            seconds=round(self.seconds, 3),
        )
