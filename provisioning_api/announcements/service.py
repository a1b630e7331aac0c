"""Announces machines, and checks what a ramdisk brings to prove that it is the one that was announced.

The secret is the machine's chassis asset tag: set in its firmware, by its maker or over its BMC, and
readable on the machine alone. It never crosses the network; the proof is an HMAC over the key and the
challenge of the report.
"""

from __future__ import annotations

import hashlib
import hmac

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.announcements.models import Announcement
from provisioning_api.announcements.repository import Announcements
from provisioning_api.announcements.schemas import AnnouncementRequest, AnnouncementView
from provisioning_api.audit.service import AuditLog
from provisioning_api.machines.models import Machine
from soundstage.database import Database
from soundstage.errors import Conflict, NotFound
from soundstage.sealing import Sealer


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
        async with self._db.transaction() as session:
            if await Announcements(session).find(request.serial) is not None:
                raise Conflict(
                    "announcement.exists",
                    f"A machine with the serial number {request.serial} is announced already.",
                    "Take it back first, to announce it with another secret.",
                )
            row = Announcement(
                serial=request.serial,
                secret=self._sealer.seal(request.secret.get_secret_value()),
                announced_by=by,
            )
            await Announcements(session).add(row)
            await self._audit.record(session, by, "machine.announced", request.serial)
            return _view(row)

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
        and no other machine has proved it before.
        """
        row = await Announcements(session).find(serial)
        if row is None or proof is None or row.machine_id not in (None, machine.id):
            return False
        secret = self._sealer.unseal(row.secret).encode()
        if not hmac.compare_digest(hmac.new(secret, text, hashlib.sha256).hexdigest(), proof):
            return False
        row.machine_id = machine.id
        return True


def _view(row: Announcement) -> AnnouncementView:
    return AnnouncementView(
        serial=row.serial,
        announced_by=row.announced_by,
        announced_at=row.announced_at,
        machine_id=row.machine_id,
    )
