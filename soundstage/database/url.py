"""Reads database URLs as people write them; used by `Database` alone."""

from __future__ import annotations

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from soundstage.errors import Invalid

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
}
# What asyncpg takes by these names; the rest of libpq's parameters it reads from PG* variables.
_POSTGRESQL_PARAMETERS = frozenset({"host", "port", "ssl", "passfile", "timeout"})


def database_url(text: str) -> URL:
    """The URL with the driver that we use. Raises Invalid, which never quotes it: it may hold a password."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise _unreadable("The database URL cannot be read.") from error
    url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    return _postgresql(url) if url.get_backend_name() == "postgresql" else url


def _postgresql(url: URL) -> URL:
    query = dict(url.query)
    if "sslmode" in query:
        # The name that every other program uses.
        query["ssl"] = query.pop("sslmode")
    if unknown := sorted(set(query) - _POSTGRESQL_PARAMETERS):
        raise _unreadable(f"The database URL has parameters that are not known: {', '.join(unknown)}.")
    if not url.database:
        raise _unreadable("The database URL names no database.")
    return url.set(query=query)


def _unreadable(message: str) -> Invalid:
    return Invalid(
        "database.url_invalid",
        message,
        "Write sqlite:///state/soundstage.db or postgresql://user@host/name?sslmode=verify-full.",
    )
