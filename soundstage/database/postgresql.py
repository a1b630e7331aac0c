"""PostgreSQL past one machine: the same promises to the rooms as SQLite gives, for many processes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

from sqlalchemy import URL, Connection, Dialect, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from soundstage.errors import Invalid, SoundstageError, StorageFull, Unavailable

# The advisory lock that every writer of one database holds: "soundsta" as a 64-bit number.
WRITERS_LOCK = int.from_bytes(b"soundsta")
# A machine that vanishes in the middle of a transaction must not keep all others from writing.
IDLE_IN_TRANSACTION_MS = 30_000
CONNECT_SECONDS = 10.0
# Of several servers, one that is off must not take the time of the others.
CONNECT_SECONDS_OF_SEVERAL = 3.0
# A server that vanished sends no reset. Data that it does not acknowledge for so long ends a connection, and
# so do keepalives while it owes an answer: 4 s + 3 times 2 s, as the server has them.
TCP_USER_TIMEOUT_MS = 10_000
_TCP_OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 4),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TCP_USER_TIMEOUT_MS),
)
OUTAGES = frozenset({"database.unreachable", "database.no_primary"})
"""The server is away, and may be back in a moment."""
# Connections of one process: 15 that read, and two that write, of which one waits for the other.
READERS, MORE_READERS, WRITERS = 5, 10, 2

# SQLSTATE classes and codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
_BUSY = frozenset({"55P03", "40P01", "40001"})
_UNREACHABLE = frozenset({"57P01", "57P02", "57P03", "25P03"})


def open_postgresql(url: URL, busy_timeout_ms: int) -> tuple[AsyncEngine, AsyncEngine]:
    """The engine that reads and the one that writes, with pools of their own.

    Writers wait for each other while they hold a connection; in a common pool they would starve the readers,
    and the one writer who has the lock and reads something beside it.
    """
    wait_ms = max(busy_timeout_ms, 1)
    settings = {
        "application_name": "soundstage",
        # 0 would wait for ever here, where SQLite does not wait at all.
        "lock_timeout": str(wait_ms),
        "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_MS),
    }
    common: dict[str, Any] = {
        "pool_pre_ping": True,
        "connect_args": {"timeout": CONNECT_SECONDS, "server_settings": settings},
    }
    # One consistent state for all that a session reads, as SQLite gives it.
    reading = create_async_engine(
        url, isolation_level="REPEATABLE READ", pool_size=READERS, max_overflow=MORE_READERS, **common
    )
    writing = create_async_engine(
        url, pool_size=WRITERS, max_overflow=0, pool_timeout=wait_ms / 1000, **common
    )
    servers = _Servers()
    for engine in (reading, writing):
        event.listen(engine.sync_engine, "do_connect", servers.connect)
    event.listen(writing.sync_engine, "begin", _lock_out_other_writers)
    return reading, writing


def translate_postgresql_error(error: DBAPIError) -> SoundstageError | None:
    """Returns an error that a person can act on for one of the server; None for an unexpected one."""
    found = _known_state(getattr(error.orig, "sqlstate", None))
    if found is None and error.connection_invalidated:
        return _unreachable()
    return found


@asynccontextmanager
async def listening(
    engine: AsyncEngine, channel: str, on_payload: Callable[[str], None]
) -> AsyncIterator[asyncio.Event]:
    """LISTENs on a connection of its own; the event given is set when that connection is lost."""
    # Imported here: who runs on SQLite does not need the driver.
    import asyncpg  # type: ignore[import-untyped]

    lost = asyncio.Event()

    def on_notification(_connection: object, _pid: int, _channel: str, payload: str) -> None:
        on_payload(payload)

    def on_termination(_connection: object) -> None:
        lost.set()

    async with engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        try:
            driver.add_termination_listener(on_termination)
            await driver.add_listener(channel, on_notification)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise _unreachable() from error
        try:
            yield lost
        finally:
            # Closed and not given back: the next user of the connection did not ask for notifications.
            await connection.invalidate()


def _lock_out_other_writers(connection: Connection) -> None:
    # What a writer decides is decided on what it has read, so nobody may write between the two. SQLite's one
    # writer at a time is what the services are written for; here it is one per database, on any machine.
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS_LOCK})")


class _Servers:
    """Connects to the server of a database that takes the connection; of several the last one that did is
    tried first.
    """

    def __init__(self) -> None:
        self._last: tuple[str, int | None] | None = None

    def connect(
        self, dialect: Dialect, _record: Any, arguments: list[Any], named: dict[str, Any]
    ) -> DBAPIConnection:
        """Connects, and explains why not: what the driver raises here never becomes a DBAPIError."""
        failures: list[SoundstageError] = []
        for server in self._in_order(named):
            try:
                connection = _connect(dialect, arguments, named | _of_server(server))
            except SoundstageError as error:
                failures.append(error)
            else:
                self._last = server
                return connection
        # What an operator must mend says more than that another one is a standby.
        raise next((error for error in failures if error.code not in OUTAGES), failures[-1])

    def _in_order(self, named: dict[str, Any]) -> list[tuple[str, int | None] | None]:
        hosts, ports = named.get("host"), named.get("port")
        if not isinstance(hosts, (list, tuple)):
            return [None]
        each = ports if isinstance(ports, (list, tuple)) else [ports] * len(hosts)
        servers = list(zip(hosts, each, strict=True))
        return sorted(servers, key=lambda server: server != self._last)


def _of_server(server: tuple[str, int | None] | None) -> dict[str, Any]:
    if server is None:
        return {}
    return {"host": server[0], "port": server[1], "timeout": CONNECT_SECONDS_OF_SEVERAL}


def _connect(dialect: Dialect, arguments: list[Any], named: dict[str, Any]) -> DBAPIConnection:
    # Imported here: who runs on SQLite does not need the driver.
    import asyncpg

    try:
        connection = dialect.connect(*arguments, **named)
    except OSError as error:
        # Refused, no such host, no such socket, no answer in time, TLS refused.
        raise _unreachable() from error
    except Exception as error:
        if isinstance(error.__cause__, asyncpg.TargetServerAttributeNotMatched):
            raise Unavailable(
                "database.no_primary",
                "No server of the database takes writes.",
                "While a standby takes over this lasts up to 30 s; `patronictl list` shows the members.",
            ) from error
        if (known := _known_state(getattr(error, "sqlstate", None))) is not None:
            raise known from error
        raise
    transport = cast(Any, connection).driver_connection._transport
    used = transport.get_extra_info("socket")
    if used is not None and used.family != socket.AF_UNIX:
        for level, option, value in _TCP_OPTIONS:
            used.setsockopt(level, option, value)
    return connection


def _known_state(state: str | None) -> SoundstageError | None:
    if state is None:
        return None
    if state in _BUSY:
        return Unavailable(
            "database.busy",
            "Another process has been writing to the database for too long.",
            "Try again; if it stays, look for a stuck soundstage process.",
        )
    if state == "53100":
        return StorageFull(
            "database.disk_full",
            "The disk of the database server is full.",
            "Free some space there.",
        )
    if state == "53300":
        return Unavailable(
            "database.too_many_connections",
            "The database server takes no more connections.",
            "Raise its `max_connections`, or put a pooler in session mode in front of it.",
        )
    if state in ("42P01", "42703"):
        return Unavailable(
            "database.not_migrated",
            "The database has not the tables that this version needs.",
            "Run `soundstage migrate`.",
        )
    if state == "3D000":
        return Unavailable(
            "database.missing",
            "The server has no database of this name.",
            "Make it: `createdb --owner USER NAME`.",
        )
    if state in ("28P01", "28000"):
        return Unavailable(
            "database.login_refused",
            "The database server refuses this user or password.",
            "Check the user in `database.url`, and PGPASSWORD or ~/.pgpass.",
        )
    if state == "42501":
        return Unavailable(
            "database.no_rights",
            "The user of the database may not do this.",
            "Make the user the owner of the database: `ALTER DATABASE NAME OWNER TO USER`.",
        )
    if state == "25006":
        return Unavailable(
            "database.read_only",
            "The database server takes no writes: it is a standby, or was set to read only.",
            "Point `database.url` at the primary server.",
        )
    if state in ("22021", "22P05"):
        return Invalid(
            "database.text_refused",
            "The text holds a character that PostgreSQL does not store (U+0000).",
            "Take it out.",
        )
    if state in _UNREACHABLE or state.startswith("08"):
        return _unreachable()
    return None


def _unreachable() -> Unavailable:
    return Unavailable(
        "database.unreachable",
        "The database does not answer.",
        "Check `database.url` and that the server runs.",
    )
