"""Announces machines, and checks what a ramdisk brings to prove that it is the one that was announced.

The secret is the machine's chassis asset tag: set in its firmware, by its maker or over its BMC, and
readable on the machine alone. It never crosses the network; the proof is an HMAC over the key and the
challenge of the report.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.announcements.models import Announcement
from provisioning_api.announcements.repository import Announcements
from provisioning_api.announcements.schemas import AnnouncementRequest, AnnouncementView, BmcAnnouncement
from provisioning_api.audit.service import AuditLog
from provisioning_api.machines.models import Machine
from provisioning_api.power.redfish import Bmc, RedfishClient, redfish_client
from provisioning_api.power.schemas import PowerAction
from soundstage.database import Database, utcnow
from soundstage.errors import Conflict, NotFound
from soundstage.http import Destinations
from soundstage.sealing import Sealer
from soundstage.views import read_view

SECRET_BYTES = 12
"""24 characters: the smallest asset-tag field among BMC vendors holds 32."""
VALID_FOR = timedelta(hours=2)
"""Short: once the machine is installed, every process on it can read the asset tag."""


class BmcAnnouncer:
    """Announces a machine through its BMC (Redfish): sets a secret that only this machine can read.

    The secret becomes the machine's asset tag, which its firmware shows to programs that run on it (SMBIOS
    type 3). From then on it is an announcement like any other, for a short time. The secret never crosses the
    boot network. `destinations`: where BMCs may be.
    """

    def __init__(self, announcements: AnnouncementService, destinations: Destinations) -> None:
        self._announcements = announcements
        self._destinations = destinations

    async def announce(self, request: BmcAnnouncement, *, by: str) -> AnnouncementView:
        """Sets the asset tag, announces the machine for two hours, and starts it from the network.

        Raises Conflict `announcement.other_machine` where the BMC belongs to another machine, and the errors
        of the BMC and of `soundstage.http.resolve`. The machine starts only after it is announced.
        """
        await self._announcements.check_free(request.serial)
        access = request.bmc
        password = access.password.get_secret_value()
        bmc = Bmc(str(access.url), access.user, password, access.system, access.certificate_sha256)
        async with await redfish_client(bmc, self._destinations) as client:
            redfish = RedfishClient(bmc, client)
            _check_serial(request.serial, await redfish.serials(), bmc)
            secret = secrets.token_hex(SECRET_BYTES)
            await redfish.set_asset_tag(secret)
            view = await self._announcements.expect(request.serial, secret, utcnow() + VALID_FOR, by=by)
            if request.restart:
                await redfish.do(PowerAction.BOOT_NETWORK)
                is_off = await redfish.state() == "Off"
                await redfish.do(PowerAction.ON if is_off else PowerAction.CYCLE)
        return view


def _check_serial(announced: str, reported: Collection[str], bmc: Bmc) -> None:
    if announced not in reported:
        raise Conflict(
            "announcement.other_machine",
            f"The BMC at {urlsplit(bmc.url).netloc} belongs to a machine with serial number "
            f"{', '.join(sorted(reported)) or 'unknown'}, not {announced}.",
            "Check the address of the BMC, and the serial number on the machine.",
        )


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
                await Announcements(session).delete(before)
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
            missing = NotFound(
                "announcement.not_found",
                f"No machine with the serial number {serial!r} is announced.",
                "List them: `soundstage machines announced`.",
            )
            row = await Announcements(session).require(serial, missing)
            await Announcements(session).delete(row)
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
