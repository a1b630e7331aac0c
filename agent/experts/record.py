"""How one model has done: success, latency and a circuit breaker; kept by the Router."""

from __future__ import annotations

from dataclasses import dataclass

HALF_LIFE_S = 300.0
"""What was measured counts half after this time, so that a slow day is forgiven."""
FAILURE_S = 10.0
"""What a failure costs the person who waits: it is found out late, and then another has to be asked."""
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
    """Not asked before this time."""
    trial_until: float = 0.0
    """One answer tells whether it is well again; until then nobody else is kept waiting for that."""

    def answered(self, seconds: float, now: float) -> None:
        self.latency_s = seconds if self.calls == self.failures else _mean(self.latency_s, seconds)
        self.success = _mean(self.success, 1.0)
        self.calls += 1
        self.in_a_row, self.closed_until, self.trial_until, self.measured_at = 0, 0.0, 0.0, now

    def failed(self, now: float) -> None:
        self.success = _mean(self.success, 0.0)
        self.calls += 1
        self.failures += 1
        self.in_a_row += 1
        self.trial_until, self.measured_at = 0.0, now
        if self.in_a_row >= TRIPS_AFTER:
            pause = PAUSE_S * float(1 << min(self.in_a_row - TRIPS_AFTER, 8))
            self.closed_until = now + min(pause, LONGEST_PAUSE_S)

    def state(self, now: float) -> str:
        """`well`, `resting` (failed too often), or `on trial` (has rested; the next answer decides)."""
        if self.in_a_row < TRIPS_AFTER:
            return "well"
        return "resting" if now < self.closed_until else "on trial"

    def may_be_asked(self, now: float) -> bool:
        state = self.state(now)
        return state == "well" or (state == "on trial" and now >= self.trial_until)

    def asked(self, now: float) -> None:
        """Notes the trial of one that has rested."""
        if self.state(now) == "on trial":
            self.trial_until = now + TRIAL_S

    def cost_s(self, now: float) -> float:
        """Returns what an answer is expected to take: the latency, more of it the likelier another try is
        needed.
        """
        faded: float = 0.5 ** ((now - self.measured_at) / HALF_LIFE_S)
        success = 1.0 - (1.0 - self.success) * faded
        return self.latency_s * faded + (1.0 - success) * FAILURE_S


def _mean(mean: float, newest: float) -> float:
    return mean + WEIGHT * (newest - mean)
