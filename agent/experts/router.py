"""Orders models by topic, measured success and latency; the `Models` of ModelAnswers."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from agent.experts.candidates import Candidate, Source
from agent.model.backend import ChatModel
from soundstage.errors import SoundstageError
from soundstage.telemetry import mask_text

_WORD = re.compile(r"[^\W_]+")
TOPIC_CHARS = 4000
TRY = ({"role": "user", "content": "Say: ready"},)
TRY_S = 30.0


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


class ExpertLine(BaseModel):
    """One model for people."""

    name: str
    source: str
    address: str
    topics: tuple[str, ...]
    state: str
    calls: int
    failures: int
    success: float
    latency_ms: int | None
    family: str = ""
    """Whose preset says how it is asked; empty where none fits its name."""


class Survey(BaseModel):
    """All models, and the errors of their discovery."""

    experts: tuple[ExpertLine, ...]
    problems: tuple[str, ...]


class Router:
    """Holds the track records of one process; they are not stored."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._records: dict[str, TrackRecord] = {}

    async def order(self, utterance: str) -> Sequence[ChatModel]:
        """Returns experts of the topic, then models without topics, then others; equals by expected time."""
        now = time.monotonic()
        words = {_stem(word) for word in _WORD.findall(utterance[:TOPIC_CHARS])}
        fit = [one for one in await self._found() if self._record(one.name).is_available(now)]
        fit.sort(key=lambda one: (_distance(one, words), one.preference, self._record(one.name).cost_s(now)))
        if fit:
            self._record(fit[0].name).begin_trial(now)
        return [one.model for one in fit]

    async def try_all(self) -> None:
        """Asks every model for a word, to measure it."""
        await asyncio.gather(*(self._try(one.model) for one in await self._found()))

    async def _try(self, model: ChatModel) -> None:
        started = time.monotonic()
        try:
            async with asyncio.timeout(TRY_S):
                async for _ in model.ask(TRY, [], max_tokens=8):
                    pass
        except (SoundstageError, TimeoutError):
            self.record_failure(model)
        else:
            self.record_success(model, time.monotonic() - started)

    def record_success(self, model: ChatModel, seconds: float) -> None:
        self._record(model.name).record_success(seconds, time.monotonic())

    def record_failure(self, model: ChatModel) -> None:
        self._record(model.name).record_failure(time.monotonic())

    async def survey(self) -> Survey:
        """Returns all models with their measurements."""
        now = time.monotonic()
        lines = [_line(one, self._record(one.name), now) for one in await self._found()]
        problems = tuple(one.problem for one in self._sources if one.problem)
        return Survey(experts=tuple(lines), problems=problems)

    async def _found(self) -> list[Candidate]:
        return [one for source in self._sources for one in await source.candidates()]

    def _record(self, name: str) -> TrackRecord:
        return self._records.setdefault(name, TrackRecord())


def _distance(one: Candidate, words: set[str]) -> int:
    if not one.topics:
        return 1
    return 0 if any(_stem(topic) in words for topic in one.topics) else 2


def _stem(word: str) -> str:
    return word.lower().rstrip("s")


def _line(one: Candidate, record: TrackRecord, now: float) -> ExpertLine:
    return ExpertLine(
        name=one.name,
        source=one.source,
        # Every user of the chat sees it; a URL may hold a password.
        address=mask_text(one.address),
        topics=tuple(sorted(one.topics)),
        state=record.state(now),
        calls=record.calls,
        failures=record.failures,
        success=round(record.success, 3),
        latency_ms=round(record.latency_s * 1000) if record.calls > record.failures else None,
        family=one.model.preset.family,
    )
