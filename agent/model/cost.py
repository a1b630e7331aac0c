"""Counts what an answer takes of language models, for the person and for metrics; used by ModelAnswers."""

from __future__ import annotations

from dataclasses import dataclass

from agent.events import ModelUsage
from agent.model.backend import Usage
from soundstage.telemetry import metrics


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
