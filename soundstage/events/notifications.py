"""Receives commits of other processes by LISTEN and NOTIFY, where the database has them; used by the tail."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncSession

from soundstage.database import Database

CHANNEL = "soundstage_events"


class Notifier:
    """Sends and receives the names of changed streams by NOTIFY and LISTEN on one channel.

    A name has at most 200 characters; a notification may have 8000 bytes.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        # Our own commits wake our own followers without a round trip over the database server.
        self._mine = secrets.token_hex(4)

    @property
    def supported(self) -> bool:
        """True when the database has notifications."""
        return self._db.supports_notify

    async def notify(self, session: AsyncSession, stream: str) -> None:
        """Notifies all processes of this stream when the transaction commits."""
        if self.supported:
            await self._db.notify(session, CHANNEL, f"{self._mine} {stream}")

    @asynccontextmanager
    async def listening(self, on_stream: Callable[[str], None]) -> AsyncIterator[asyncio.Event]:
        """Calls `on_stream` with the streams of others' commits; the yielded event is set when the
        connection is lost.

        Raises Unavailable when the database cannot be reached.
        """

        def on_notification(payload: str) -> None:
            who, _, stream = payload.partition(" ")
            if who != self._mine:
                on_stream(stream)

        async with self._db.listening(CHANNEL, on_notification) as lost:
            yield lost
