"""Times as people type them on the command line; used by commands that take one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from soundstage.errors import Invalid


def minute(stamp: str | None) -> str | None:
    """Return an ISO 8601 moment as tables show it, in UTC."""
    return None if stamp is None else f"{_utc(stamp):%Y-%m-%d %H:%M}"


def second(stamp: str) -> str:
    """Return the same to the second, for logs."""
    return f"{_utc(stamp):%Y-%m-%d %H:%M:%S}"


def _utc(stamp: str) -> datetime:
    moment = datetime.fromisoformat(stamp)
    return moment if moment.tzinfo is None else moment.astimezone(UTC)


def parse_time(text: str, now: datetime | None = None) -> datetime:
    """Parses `17:00` (the next time it is that late here) or `2026-11-21T09:00`, in any zone. Raises
    Invalid.
    """
    now = now or datetime.now(UTC).astimezone()
    try:
        clock = datetime.strptime(text.strip(), "%H:%M")
    except ValueError:
        clock = None
    if clock is not None:
        today = now.replace(hour=clock.hour, minute=clock.minute, second=0, microsecond=0)
        return today if today > now else today + timedelta(days=1)
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise Invalid(
            "time.unreadable",
            f"{text!r} is no time.",
            "Give a time of day (17:00) or a date and a time (2026-11-21T09:00).",
        ) from error
    return found.astimezone() if found.tzinfo is None else found
