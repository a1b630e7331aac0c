"""Times of leases by the clock of the database: processes on several machines compare with one clock, and
setting that of a machine neither ends leases nor keeps those of a dead process.

SQLite has that of its own machine.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import BindParameter, Float, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from soundstage.database.base import UtcDateTime


class server_time(FunctionElement[datetime]):  # noqa: N801 - named as functions of SQL are
    """The moment in so many seconds: of the statement, not of its transaction."""

    type = UtcDateTime()
    inherit_cache = True
    name = "server_time"

    def __init__(self, in_s: float | BindParameter[float] = 0.0) -> None:
        super().__init__(in_s if isinstance(in_s, BindParameter) else literal(in_s, Float))


def lease_end(in_s: float) -> datetime:
    """Returns the end of a lease of so many seconds, to be assigned to a column of a row."""
    return cast(datetime, server_time(in_s))


Key = TypeVar("Key")


class LocalLeases(Generic[Key]):
    """The leases of this process, for which its monotonic clock decides: nobody sets that one."""

    def __init__(self) -> None:
        self._ends_s: dict[Key, float] = {}

    def renew(self, key: Key, in_s: float) -> datetime:
        """Returns the end for the row, as `lease_end`."""
        self._ends_s[key] = time.monotonic() + in_s
        return lease_end(in_s)

    def has_ended(self, key: Key) -> bool | None:
        """Returns None for a lease of another process, for which the row decides."""
        ends_s = self._ends_s.get(key)
        return None if ends_s is None else ends_s <= time.monotonic()

    def release(self, key: Key) -> None:
        self._ends_s.pop(key, None)


@compiles(server_time, "postgresql")
def _for_postgresql(element: server_time, compiler: SQLCompiler, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"clock_timestamp() + make_interval(secs => CAST({seconds} AS double precision))"


@compiles(server_time, "sqlite")
def _for_sqlite(element: server_time, compiler: SQLCompiler, **options: Any) -> str:
    # As SQLAlchemy stores times there: six digits behind the second.
    seconds = compiler.process(element.clauses, **options)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', {seconds} || ' seconds')"
