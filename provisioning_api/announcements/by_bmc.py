"""Announces a machine through its BMC (Redfish): sets a secret that only this machine can read.

The secret becomes the machine's asset tag, which its firmware shows to programs that run on it (SMBIOS type
3). From then on it is an announcement like any other, for a short time. The secret never crosses the boot
network.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import timedelta
from urllib.parse import urlsplit

from provisioning_api.announcements.schemas import AnnouncementView, BmcAnnouncement
from provisioning_api.announcements.service import AnnouncementService
from provisioning_api.power.redfish import Bmc, RedfishClient, redfish_client
from provisioning_api.power.schemas import PowerAction
from soundstage.database import utcnow
from soundstage.errors import Conflict
from soundstage.http import Destinations

SECRET_BYTES = 12
"""24 characters: the smallest asset-tag field among BMC vendors holds 32."""
VALID_FOR = timedelta(hours=2)
"""Short: once the machine is installed, every process on it can read the asset tag."""


class BmcAnnouncer:
    """`destinations`: where BMCs may be."""

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
