"""Announces machines, and checks what a ramdisk brings to prove that it is the one that was announced.

The secret is the machine's chassis asset tag: set in its firmware, by its maker or over its BMC, and
readable on the machine alone. It never crosses the network; the proof is an HMAC over the key and the
challenge of the report.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.announcements.models import Announcement
from provisioning_api.announcements.repository import Announcements
from provisioning_api.announcements.schemas import AnnouncementRequest, AnnouncementView
from provisioning_api.audit.service import AuditLog
from provisioning_api.machines.models import Machine
from soundstage.database import Database, utcnow
from soundstage.errors import Conflict, NotFound
from soundstage.sealing import Sealer
from soundstage.views import read_view


class AnnouncementService:
    def __init__(self, db: Database, audit: AuditLog, sealer: Sealer) -> None:
        self._db = db
        self._audit = audit
        self._sealer = sealer

    async def list(self) -> list[AnnouncementView]:
        async with self._db.session() as session:
            return [_view(row) for row in await Announcements(session).list()]

    async def announce(self, request: AnnouncementRequest, *, by: str) -> AnnouncementView:
        """Expect a machine from now on; raise `announcement.exists` for a serial number that is expected."""
        return await self.expect(request.serial, request.secret.get_secret_value(), None, by=by)

    async def expect(self, serial: str, secret: str, until: datetime | None, *, by: str) -> AnnouncementView:
        """Announces a machine with this secret; `until` is None for an announcement that ends when it is
        withdrawn.

        An announcement of a BMC, which ends by itself, is replaced. Raises `announcement.exists`.
        """
        async with self._db.transaction() as session:
            if (before := await self._free(session, serial)) is not None:
                await Announcements(session).remove(before)
            row = Announcement(
                serial=serial, secret=self._sealer.seal(secret), announced_by=by, ends_at=until
            )
            await Announcements(session).add(row)
            facts = None if until is None else {"by": "its BMC", "until": until.isoformat()}
            await self._audit.record(session, by, "machine.announced", serial, facts)
            return _view(row)

    async def check_free(self, serial: str) -> None:
        """Raises `announcement.exists` for a serial number whose announcement has no end."""
        async with self._db.session() as session:
            await self._free(session, serial)

    async def _free(self, session: AsyncSession, serial: str) -> Announcement | None:
        row = await Announcements(session).find(serial)
        if row is not None and row.ends_at is None:
            raise Conflict(
                "announcement.exists",
                f"A machine with the serial number {serial} is announced already.",
                "Take it back first, to announce it with another secret: `soundstage machines unannounce`.",
            )
        return row

    async def withdraw(self, serial: str, *, by: str) -> None:
        async with self._db.transaction() as session:
            row = await Announcements(session).find(serial)
            if row is None:
                raise NotFound(
                    "announcement.not_found",
                    f"No machine with the serial number {serial!r} is announced.",
                    "List them: `soundstage machines announced`.",
                )
            await Announcements(session).remove(row)
            await self._audit.record(session, by, "machine.announcement_withdrawn", serial)

    async def proves(
        self, session: AsyncSession, machine: Machine, serial: str, proof: str | None, text: bytes
    ) -> bool:
        """Return whether `proof` (hex) is the HMAC-SHA256 of `text` under the secret of this serial number,
        no other machine has proved it before, and its time is not over.
        """
        row = await Announcements(session).find(serial)
        if row is None or proof is None or row.machine_id not in (None, machine.id):
            return False
        if row.ends_at is not None and row.ends_at <= utcnow():
            return False
        secret = self._sealer.unseal(row.secret).encode()
        if not hmac.compare_digest(hmac.new(secret, text, hashlib.sha256).hexdigest(), proof):
            return False
        row.machine_id = machine.id
        return True


def _view(row: Announcement) -> AnnouncementView:
    return read_view(AnnouncementView, row)
