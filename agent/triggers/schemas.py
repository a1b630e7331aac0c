"""Defines what a trigger waits for, the calls that it makes, and its form for people and programs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, Field, model_validator

from agent.triggers.states import TriggerState

PREVIOUS = "previous"
LATEST = "latest"
Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
DAYS: tuple[Day, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
Thing = Literal["render", "machine", "run", "job"]
BECOMES: dict[str, frozenset[str]] = {
    "render": frozenset({"done", "failed", "ended"}),
    "machine": frozenset({"ready", "failed", "enrolled", "empty"}),
    "run": frozenset({"done", "failed", "ended"}),
    "job": frozenset({"running", "stopped"}),
}


class When(BaseModel, extra="forbid", frozen=True):
    """One time (`at`), a repetition (`every`, `time`, `days`) or an event (`of`, `name`, `becomes`)."""

    at: datetime | None = Field(default=None, description="Once; without a zone, of the server.")
    every: Literal["hour", "day", "week"] | None = None
    days: tuple[Day, ...] = Field(default=(), description="Of a week.")
    time: str | None = Field(default=None, pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="HH:MM.")
    zone: str = ""
    of: Thing | None = None
    name: str = Field(
        default=LATEST, max_length=200, description="Or “latest”, or “previous”: of the step before."
    )
    becomes: str = Field(default="", description="render, run: done, failed, ended; machine: ready, failed, "
                         "enrolled, empty; job: running, stopped.")  # fmt: skip

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(one is not None for one in (self.at, self.every, self.of)) != 1:
            raise ValueError("it needs one of at, every and of")
        if self.every == "week" and not self.days:
            raise ValueError("every week needs days")
        if self.every in ("day", "week") and self.time is None:
            raise ValueError(f"every {self.every} needs a time")
        if self.of is not None and self.becomes not in BECOMES[self.of]:
            raise ValueError(f"a {self.of} becomes one of {', '.join(sorted(BECOMES[self.of]))}")
        if self.zone:
            try:
                ZoneInfo(self.zone)
            except (ZoneInfoNotFoundError, ValueError) as error:
                raise ValueError(f"there is no time zone {self.zone!r}") from error
        return self

    def next_after(self, moment: datetime) -> datetime | None:
        """Returns the next time after a moment; None for an event, and for a single time that is over."""
        if self.at is not None:
            return self.at if self.at > moment else None
        if self.every is None:
            return None
        if self.every == "hour":
            minute = int(self.time[3:]) if self.time else moment.minute
            start = moment.replace(minute=minute, second=0, microsecond=0)
            return start if start > moment else start + timedelta(hours=1)
        assert self.time is not None  # noqa: S101
        local = moment.astimezone(ZoneInfo(self.zone))
        hour, minute = int(self.time[:2]), int(self.time[3:])
        weekdays = {DAYS.index(day) for day in self.days} or set(range(7))
        for ahead in range(9):
            # The wall clock is set on the day itself: summer time moves the moment and not the hour.
            found = (local + timedelta(days=ahead)).replace(hour=hour, minute=minute, second=0, microsecond=0)
            if found.weekday() in weekdays and found.timestamp() > moment.timestamp():
                return found
        return None


class StoredCall(BaseModel, extra="forbid", frozen=True):
    """A call of a tool by its name, with valid arguments."""

    tool: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class TriggerOut(BaseModel, from_attributes=True):
    id: str
    text: str
    condition: When
    calls: tuple[StoredCall, ...]
    state: TriggerState
    result: str
    session_id: str
    after_id: str | None
    created_at: datetime
    fires_at: datetime | None
    fired_at: datetime | None
