"""Estimates how long stages will take from how long they took here; used for deadlines and for the expected
end of leases.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median

MAX_RUNS = 64
SIGMA_OF_MAD = 1.4826
"""Median absolute deviation to standard deviation, for a normal distribution (Rousseeuw and Croux, 1993)."""
SLOW = 1.645
"""Standard deviations above the median that one run in twenty exceeds, for a normal distribution."""
FEW = 5
SPREAD_OF_FEW = 0.5
"""While there are few runs the spread is taken as at least this part of the median: two equal runs prove
nothing.
"""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds. `likely_s` is the median; one run in twenty takes longer than `slow_s`."""

    likely_s: float
    slow_s: float


class History:
    """The last runs of each stage, as seconds per unit of work (a second of video, a scene, whatever the
    stage counts).

    A stage is named with all that its speed depends on, such as `segment/portrait/RTX A5000`.
    """

    def __init__(self) -> None:
        self._rates: dict[str, deque[float]] = {}

    def record_run(self, stage: str, units: float, seconds: float) -> None:
        """Adds a run that succeeded; failures say nothing about speed. Runs without work or time are
        ignored.
        """
        if units > 0 and seconds >= 0:
            self._rates.setdefault(stage, deque(maxlen=MAX_RUNS)).append(seconds / units)

    def estimate(self, stage: str, units: float) -> Estimate | None:
        """Returns an estimate, or None when the stage never ended here."""
        rates = self._rates.get(stage)
        if not rates:
            return None
        middle = median(rates)
        spread = SIGMA_OF_MAD * median(abs(rate - middle) for rate in rates)
        if len(rates) < FEW:
            spread = max(spread, SPREAD_OF_FEW * middle)
        return Estimate(middle * units, (middle + SLOW * spread) * units)
