"""Decides when and how often a failed task is tried again; called where a task is run."""

from __future__ import annotations

import random
from dataclasses import dataclass

from soundstage.backoff import FULL_JITTER, Backoff


@dataclass(frozen=True, slots=True)
class Retries:
    """Delays are drawn evenly from zero to `base_s` · 2ⁿ, at most `cap_s`, so that segments which failed
    together do not come back together.
    """

    base_s: float = 5.0
    cap_s: float = 300.0
    attempts: int = 5
    """Runs in all, the first one too."""
    seed: int = 0

    @property
    def backoff(self) -> Backoff:
        return Backoff(self.base_s, self.cap_s, FULL_JITTER)

    def wait_s(self, task_id: str, failures: int) -> float | None:
        """Returns the seconds to the next try, or None after the last attempt. The same question has the same
        answer, also after a restart.
        """
        if failures >= self.attempts:
            return None
        chance = random.Random(f"{self.seed}:{task_id}:{failures}")  # noqa: S311 - spreads load, guards nothing
        return self.backoff.delay_s(failures, chance)
