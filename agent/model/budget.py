"""Limits what one turn may take of a model: calls, seconds, tokens; used by ModelAnswers."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from soundstage.errors import Unavailable, Upstream

BYTES_PER_TOKEN = 3
"""A low guess for servers that count no tokens: four characters are usual in English, fewer elsewhere."""


@dataclass(frozen=True, slots=True)
class TurnLimits:
    calls: int = 12
    """Requests to the model in one turn, those that only call tools included."""
    seconds: float = 120.0
    tokens: int = 100_000
    wrong_calls: int = 4
    """Invalid tool calls that the model may correct."""


@dataclass(slots=True)
class TurnBudget:
    """Counts against the limits. Each `spend_…` raises Unavailable `model.over_budget` beyond them."""

    limits: TurnLimits
    calls: int = 0
    tokens: int = 0
    wrong_calls: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds_left(self) -> float:
        return max(self.limits.seconds - (time.monotonic() - self.started), 0.0)

    @property
    def tokens_left(self) -> int:
        return max(self.limits.tokens - self.tokens, 0)

    def spend_call(self) -> None:
        self.calls += 1
        if self.calls > self.limits.calls:
            raise self._over(f"{self.limits.calls} calls")
        if not self.tokens_left:
            raise self._over(f"{self.limits.tokens} tokens")
        if not self.seconds_left:
            raise self.out_of_time()

    def spend_tokens(self, counted: int | None, characters: int) -> None:
        """Adds the tokens of one call: the server's count, else an estimate from the characters."""
        self.tokens += characters // BYTES_PER_TOKEN if counted is None else counted

    def spend_wrong_call(self) -> None:
        self.wrong_calls += 1
        if self.wrong_calls > self.limits.wrong_calls:
            raise Upstream(
                "model.wrong_calls",
                f"The model called tools wrongly {self.wrong_calls} times.",
                "Say it in other words.",
            )

    def out_of_time(self) -> Unavailable:
        return self._over(f"{self.limits.seconds:g} seconds")

    def _over(self, what: str) -> Unavailable:
        return Unavailable(
            "model.over_budget",
            f"The model has used what one answer may take: {what}.",
            "Ask for less at a time, or raise the limits under [agent] in the settings.",
        )
