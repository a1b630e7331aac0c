"""Compares the recorded chain head with its table, and writes it soon after a commit; for both audit logs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from policy.audit.head import Head, HeadError, HeadFile
from policy.audit.verification import ChainBrokenError, ChainCheck
from soundstage.database import Database, on_commit
from soundstage.telemetry import get_logger

EVERY_S = 0.2
"""Replacing a file takes a millisecond or two: too slow for every audit line on a busy server."""


class HeadWriter:
    """Writes the first head at once and coalesces later ones, at most one write per `EVERY_S`.

    A killed process leaves the file up to `EVERY_S` behind the chain; verification tolerates that.
    """

    def __init__(self, file: HeadFile) -> None:
        self._file = file
        self._latest: Head | None = None
        self._last_write_at = float("-inf")
        self._waiting: tuple[asyncio.AbstractEventLoop, asyncio.TimerHandle] | None = None

    def note(self, head: Head) -> None:
        """Writes the head now or with the next batch; called in the event loop, after the commit of
        the line.
        """
        self._latest = head
        loop = asyncio.get_running_loop()
        if self._waiting is not None and self._waiting[0] is loop:
            return
        wait_s = self._last_write_at + EVERY_S - loop.time()
        if wait_s > 0:
            self._waiting = (loop, loop.call_later(wait_s, self.flush))
        else:
            self._last_write_at = loop.time()
            self.flush()

    def flush(self) -> None:
        """Writes the newest head if it is not in the file yet."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting[1].cancel()
            self._last_write_at = waiting[0].time()
        latest, self._latest = self._latest, None
        if latest is not None:
            self._file.write(latest)

    def read(self) -> Head | None:
        """Returns the newest head, written or not. Raises `HeadError`."""
        return self._latest or self._file.read()

    def forget(self) -> None:
        """Removes the head after its chain was replaced. Raises `OSError`."""
        self._latest = None
        self._file.forget()


MAX_READS = 8
HEAD_BEHIND = "audit.head_behind"
UNPROVEN = "unproven"
"""The field with the number of unproven lines that an operator has accepted."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of the lines of a restored chain. `unproven` counts its lines when the key of this
    installation proves none of them, or is missing; 0 when the chain can be resumed without an operator.
    """

    unproven: int = 0

    @property
    def facts(self) -> dict[str, int]:
        """The fields of the line with which the chain is resumed."""
        return {UNPROVEN: self.unproven} if self.unproven else {}


class ChainTable(Protocol):
    """The two look-ups in a table of lines, in the caller's session."""

    async def last(self) -> Head | None: ...

    async def hash_of(self, number: int) -> str | None: ...


class RecordedHead:
    """The head of one chain: where `open_table` reads its lines, and `file` holds key and head."""

    def __init__(self, db: Database, open_table: Callable[[Any], ChainTable], file: HeadFile) -> None:
        self._db = db
        self._open_table = open_table
        self._writer = HeadWriter(file)
        self._log = get_logger(__name__)
        self._file = file

    @property
    def _is_shared(self) -> bool:
        """Returns whether other machines may write lines, each with a head of its own."""
        return not self._db.is_sqlite

    @property
    def key(self) -> bytes:
        """The key of the chain's lines. Raises `audit.no_key`."""
        return self._file.key

    @property
    def has_key(self) -> bool:
        """True where there is a key already; reading this creates none."""
        return self._file.has_key

    async def origin(self, walk: Callable[[ChainCheck], Awaitable[None]]) -> Origin:
        """Returns whether the key proves lines of a restored chain. Creates no missing key."""
        if self.has_key:
            check = ChainCheck(self.key)
            with suppress(ChainBrokenError):
                await walk(check)
            if check.count:
                return Origin()
        async with self._db.session() as session:
            last = await self._open_table(session).last()
        return Origin(0 if last is None else last.number)

    async def start(self, record: Callable[[str, Mapping[str, Any]], Awaitable[None]]) -> None:
        """Advances the head after a crash (`record` appends a line about it).

        Called once the database is migrated. A head that is missing or does not match is left as it is:
        verification reports it until an administrator accepts it, or the key proves the lines of a shared
        database to a machine that was added and has no head yet.
        """
        async with self._db.session() as session:
            last = await self._open_table(session).last()
        if last is None:
            return
        try:
            head = await self._wait_for_head(last.number)
        except HeadError as error:
            self._log.error("audit head not usable", code=error.code, reason=str(error))
            return
        if head is None:
            self._log.error("audit head missing", lines=last.number)
        elif head.number < last.number and not self._is_shared:
            await record(HEAD_BEHIND, {"noted": head.number, "found": last.number})

    async def contains_head(self, table: ChainTable, last: Head | None) -> bool:
        """Returns whether the chain contains the line that the head names, or both are empty.

        Only then may the head advance: the next line must not hide that others are missing.
        """
        try:
            head = self._writer.read()
        except HeadError as error:
            self._log.error("audit head not usable", code=error.code, reason=str(error))
            return False
        if head == last or (head is not None and await table.hash_of(head.number) == head.sha256):
            return True
        self._log.error(
            "audit chain does not contain the recorded head", line=None if head is None else head.number
        )
        return False

    async def is_in_chain(self) -> bool:
        """Returns whether the chain, as it is now, contains the recorded head."""
        async with self._db.session() as session:
            table = self._open_table(session)
            return await self.contains_head(table, await table.last())

    async def verify(
        self, check: ChainCheck, walk: Callable[[], Awaitable[None]], pinned: Head | None = None
    ) -> None:
        """Walks all lines, then checks the chain against the recorded head and one `pinned` elsewhere.

        Raises `ChainBrokenError` and `HeadError`.
        """
        await walk()
        head = await self._wait_for_head(check.count)
        if head is not None and head.number > check.count:
            # Lines that were written during the walk, or lines that are missing.
            await walk()
        noted = 0 if head is None else head.number
        if noted < check.count and self._is_shared:
            # Another machine wrote the lines after our head, or all before this one was added; the key
            # has just proved them.
            if head is None:
                self._log.warning("audit head adopted", lines=check.count)
            else:
                check.expect(head, await self._hash_at(head))
            head = Head(check.count, check.last)
            self._writer.note(head)
        check.end(head, await self._hash_at(head))
        if pinned is not None:
            check.expect(pinned, await self._hash_at(pinned))

    async def last_in(self, session: AsyncSession) -> Head | None:
        """Returns what the next line of this transaction follows. The recorded head advances with the commit
        if the chain contains it.
        """
        # The transaction holds the write lock, so the table is read once.
        if self not in session.info:
            table = self._open_table(session)
            self.advance(session, last := await table.last())
            if await self.contains_head(table, last):
                on_commit(session, lambda: self._writer.note(session.info[self]))
        found: Head | None = session.info[self]
        return found

    def advance(self, session: AsyncSession, head: Head | None) -> None:
        """Sets the head within this transaction, to that of a line that was appended."""
        session.info[self] = head

    async def reset(self, record: Callable[[AsyncSession], Awaitable[None]]) -> None:
        """Replaces the recorded head by that of the chain as it is now, with the line that `record` appends.
        Raises `OSError`.
        """
        await asyncio.to_thread(self._writer.forget)
        async with self._db.transaction() as session:
            self.advance(session, await self._open_table(session).last())
            on_commit(session, lambda: self._writer.note(session.info[self]))
            await record(session)

    def close(self) -> None:
        """Writes what is not in the file yet."""
        self._writer.flush()

    async def _hash_at(self, head: Head | None) -> str | None:
        async with self._db.session() as session:
            return None if head is None else await self._open_table(session).hash_of(head.number)

    async def _wait_for_head(self, number: int) -> Head | None:
        """Returns the head once it has reached `number`, which another process may record a moment later, or
        as it is after `2 * EVERY_S`.

        Raises `HeadError`.
        """
        head = await asyncio.to_thread(self._writer.read)
        for _ in range(MAX_READS):
            if head is None or head.number >= number:
                break
            await asyncio.sleep(2 * EVERY_S / MAX_READS)
            head = await asyncio.to_thread(self._writer.read)
        return head
