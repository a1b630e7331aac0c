"""Delays between retries: exponential, bounded, and with jitter; the one place that computes them.

Waits that must survive a restart keep the time of the next try in their row and take the delay from here.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

FULL_JITTER = (0.0, 1.0)
"""Anywhere up to the delay ("full jitter", M. Brooker, AWS Architecture Blog, 2015)."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubles `first_s` with each failure up to `longest_s`; `jitter` is the range of factors drawn from."""

    first_s: float = 0.25
    longest_s: float = 15.0
    jitter: tuple[float, float] = (0.5, 1.5)

    def ceiling_s(self, failures: int) -> float:
        """Returns the delay before jitter, after this many failures in a row (1 or more)."""
        # Beyond 2**60 the longest has long been reached, and a float would overflow at 2**1024.
        return float(min(self.longest_s, self.first_s * 2.0 ** min(60, failures - 1)))

    def delay_s(self, failures: int, chance: random.Random | None = None) -> float:
        """Returns the seconds to wait; a seeded `chance` makes the answer repeatable."""
        return self.ceiling_s(failures) * jitter(self.jitter, chance)


def jitter(factors: tuple[float, float], chance: random.Random | None = None) -> float:
    """Returns a factor that spreads those who failed together: they do not all retry at the same moment."""
    low, high = factors
    return low + (high - low) * (chance.random() if chance is not None else random.random())  # noqa: S311
