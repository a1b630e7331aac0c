"""When a failed task is tried again: exponential back-off with full jitter; asked where a task is run."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retries:
    """Waits are drawn evenly from zero to `base_s` · 2ⁿ, at most `cap_s`, so that segments which failed
    together do not come back together ("full jitter", M. Brooker, AWS Architecture Blog, 2015).
    """

    base_s: float = 5.0
    cap_s: float = 300.0
    attempts: int = 5
    """Runs in all, the first one too."""
    seed: int = 0

    def ceiling_s(self, failures: int) -> float:
        """The longest wait after this many failures (1 or more)."""
        # Beyond 2**60 the cap has long been reached, and a float would overflow at 2**1024.
        return float(min(self.cap_s, self.base_s * 2.0 ** min(60, failures - 1)))

    def wait_s(self, task_id: str, failures: int) -> float | None:
        """Seconds to the next try; None when it has been tried often enough. The same question has the same
        answer, also after a restart.
        """
        if failures >= self.attempts:
            return None
        chance = random.Random(f"{self.seed}:{task_id}:{failures}")  # noqa: S311 - spreads load, guards nothing
        return chance.uniform(0.0, self.ceiling_s(failures))
