"""Hears at once of what other processes commit, where the database tells of it; used by the tail."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncSession

from soundstage.database import Database

CHANNEL = "soundstage_events"


class Bell:
    """NOTIFY and LISTEN on one channel. What goes round is the name of a stream: whoever hears it reads.

    A name has at most 200 characters; a notification may have 8000 bytes.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        # Our own commits wake our own followers without the way round over the server.
        self._mine = secrets.token_hex(4)

    @property
    def exists(self) -> bool:
        """Whether the database can tell."""
        return self._db.notifies

    async def ring(self, session: AsyncSession, stream: str) -> None:
        """Tells all processes of this stream when the transaction commits, and not before."""
        if self.exists:
            await self._db.notify(session, CHANNEL, f"{self._mine} {stream}")

    @asynccontextmanager
    async def listening(self, heard: Callable[[str], None]) -> AsyncIterator[asyncio.Event]:
        """Calls `heard` with the streams of others' commits; the event given is set when the line is lost.

        Raises Unavailable when the database cannot be reached.
        """

        def notified(payload: str) -> None:
            who, _, stream = payload.partition(" ")
            if who != self._mine:
                heard(stream)

        async with self._db.listening(CHANNEL, notified) as lost:
            yield lost
