"""Counts what an answer takes of language models, for the person and for metrics; used by ModelAnswers."""

from __future__ import annotations

from dataclasses import dataclass

from agent.events import ModelUsage
from agent.model.backend import Usage
from soundstage.telemetry.metrics import Metrics

FIRST_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class ModelMetrics:
    """Requests to models, by model: outcome, tokens, and the time to the first piece."""

    def __init__(self, metrics: Metrics) -> None:
        self._requests = metrics.counter(
            "model_requests", "Requests to language models.", ("model", "outcome")
        )
        self._tokens = metrics.counter(
            "model_tokens",
            "Tokens of language models: prompt, cached (of the prompt), answer.",
            ("model", "kind"),
        )
        self._first_s = metrics.histogram(
            "model_first_piece_seconds", "Time to the first piece of an answer.", ("model",), FIRST_BUCKETS
        )

    def record(self, model: str, outcome: str, first_s: float | None, usage: Usage | None) -> None:
        """Adds one request; `outcome` is `ok` or the code of its error."""
        self._requests.labels(model, outcome).inc()
        if first_s is not None:
            self._first_s.labels(model).observe(first_s)
        if usage is not None:
            self._tokens.labels(model, "prompt").inc(usage.prompt_tokens)
            self._tokens.labels(model, "cached").inc(usage.cached_tokens)
            self._tokens.labels(model, "answer").inc(max(usage.tokens - usage.prompt_tokens, 0))


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
