"""Announces a machine by the word of its BMC: gives it a secret over Redfish that it alone can read.

The secret becomes the machine's asset tag, which its firmware shows to what runs on it (SMBIOS type 3). From
there on it is an announcement like any other, for a short time. It never crosses the boot network.
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
"""24 characters: the shortest asset tag of the makers' BMCs takes 32."""
COUNTS_FOR = timedelta(hours=2)
"""Everybody who runs programs on the machine can read its asset tag once it is installed."""


class BmcAnnouncer:
    """`destinations`: where BMCs may be."""

    def __init__(self, announcements: AnnouncementService, destinations: Destinations) -> None:
        self._announcements = announcements
        self._destinations = destinations

    async def announce(self, request: BmcAnnouncement, *, by: str) -> AnnouncementView:
        """Set the asset tag, expect the machine for two hours, and start it from the network.

        Raises Conflict `announcement.other_machine` where the BMC is another machine's, and what the BMC and
        `soundstage.http.resolve` raise. The machine is started only once it is expected.
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
            view = await self._announcements.expect(request.serial, secret, utcnow() + COUNTS_FOR, by=by)
            if request.restart:
                await redfish.do(PowerAction.BOOT_NETWORK)
                is_off = await redfish.state() == "Off"
                await redfish.do(PowerAction.ON if is_off else PowerAction.CYCLE)
        return view


def _check_serial(announced: str, reported: Collection[str], bmc: Bmc) -> None:
    if announced not in reported:
        raise Conflict(
            "announcement.other_machine",
            f"The BMC at {urlsplit(bmc.url).netloc} is of a machine with the serial number "
            f"{', '.join(sorted(reported)) or 'unknown'}, not {announced}.",
            "Check the address of the BMC, and the serial number on the machine.",
        )
