"""Measures one model: success, latency and a circuit breaker; used by the Router."""

from __future__ import annotations

from dataclasses import dataclass

HALF_LIFE_S = 300.0
"""A measurement counts half after this time."""
FAILURE_S = 10.0
"""The cost of a failure: it shows late, and then the next model has to answer."""
WEIGHT = 0.3
"""Of the newest measurement in the running mean."""
TRIPS_AFTER = 3
PAUSE_S = 30.0
LONGEST_PAUSE_S = 300.0
TRIAL_S = 60.0


@dataclass(slots=True)
class TrackRecord:
    """All times are of one monotonic clock, in seconds."""

    calls: int = 0
    failures: int = 0
    success: float = 1.0
    """Running mean of 1 (answered) and 0 (failed)."""
    latency_s: float = 0.0
    """Running mean of the time to the first piece."""
    measured_at: float = 0.0
    in_a_row: int = 0
    """Failures since the last success."""
    closed_until: float = 0.0
    """Unavailable before this time."""
    trial_until: float = 0.0
    """The end of a trial (half open): until then one answer decides, and no other goes to this model."""

    def record_success(self, seconds: float, now: float) -> None:
        self.latency_s = seconds if self.calls == self.failures else _mean(self.latency_s, seconds)
        self.success = _mean(self.success, 1.0)
        self.calls += 1
        self.in_a_row, self.closed_until, self.trial_until, self.measured_at = 0, 0.0, 0.0, now

    def record_failure(self, now: float) -> None:
        self.success = _mean(self.success, 0.0)
        self.calls += 1
        self.failures += 1
        self.in_a_row += 1
        self.trial_until, self.measured_at = 0.0, now
        if self.in_a_row >= TRIPS_AFTER:
            pause = PAUSE_S * float(1 << min(self.in_a_row - TRIPS_AFTER, 8))
            self.closed_until = now + min(pause, LONGEST_PAUSE_S)

    def state(self, now: float) -> str:
        """Returns `well`, `resting` (failed too often) or `on trial` (the next answer decides)."""
        if self.in_a_row < TRIPS_AFTER:
            return "well"
        return "resting" if now < self.closed_until else "on trial"

    def is_available(self, now: float) -> bool:
        state = self.state(now)
        return state == "well" or (state == "on trial" and now >= self.trial_until)

    def begin_trial(self, now: float) -> None:
        """Begins the trial of a model that has rested."""
        if self.state(now) == "on trial":
            self.trial_until = now + TRIAL_S

    def cost_s(self, now: float) -> float:
        """Returns the expected time of an answer: latency plus cost of a failure by its probability."""
        faded: float = 0.5 ** ((now - self.measured_at) / HALF_LIFE_S)
        success = 1.0 - (1.0 - self.success) * faded
        return self.latency_s * faded + (1.0 - success) * FAILURE_S


def _mean(mean: float, newest: float) -> float:
    return mean + WEIGHT * (newest - mean)
