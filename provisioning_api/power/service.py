"""The verbs of power: set it up, ask, switch; secrets are sealed and never shown again."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import TypeAdapter

from provisioning_api.machines.journal import MachineJournal
from provisioning_api.machines.models import Machine
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.service import get_machine
from provisioning_api.power.redfish import Bmc, RedfishClient, redfish_client
from provisioning_api.power.schemas import (
    PowerAction,
    PowerDone,
    PowerSettings,
    PowerSetup,
    PowerState,
    PowerWebhook,
    Redfish,
    WakeOnLan,
)
from soundstage.database import Database
from soundstage.errors import Conflict, Invalid, Unavailable, Upstream
from soundstage.http import Bounds, Destinations, outgoing_client, resolve
from soundstage.sealing import Sealer

_SETTINGS: TypeAdapter[Any] = TypeAdapter(PowerSettings)
POWER_SECRETS = ("password", "secret")
"""What is sealed of the settings of a machine's power."""
WEBHOOK_BOUNDS = Bounds(silence_s=15.0, answer_bytes=1 << 20, total_s=15.0)


def magic_packet(mac: str) -> bytes:
    """Returns the 102 bytes of Wake-on-LAN (AMD, 1995): six bytes FF, then the address sixteen times."""
    return b"\xff" * 6 + bytes.fromhex(mac.replace(":", "")) * 16


async def wake(macs: Sequence[str], broadcast: str, port: int) -> None:
    """Sends one packet per address; there is no answer that tells whether a machine wakes up."""
    await asyncio.to_thread(_send, [magic_packet(mac) for mac in macs], broadcast, port)


def _send(packets: Sequence[bytes], broadcast: str, port: int) -> None:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            for packet in packets:
                sender.sendto(packet, (broadcast, port))
    except OSError as error:
        raise Unavailable(
            "power.not_sent",
            f"The packet for {broadcast} could not be sent: {error.strerror}.",
            "Set `broadcast` to the broadcast address of the machine's network.",
        ) from error


@dataclass
class PowerService:
    """`destinations`: where URLs of operators may lead."""

    db: Database
    journal: MachineJournal
    sealer: Sealer
    destinations: Destinations

    async def set_up(self, name: str, setup: PowerSetup, *, by: str) -> None:
        """Stores how this machine is switched. Raises what `soundstage.http.resolve` raises."""
        if isinstance(setup.power, Redfish | PowerWebhook):
            await resolve(str(setup.power.url), self.destinations)
        async with self.db.transaction() as session:
            machine = await get_machine(session, name)
            machine.power = None if setup.power is None else self._sealed(setup.power.model_dump(mode="json"))
            kind = None if setup.power is None else setup.power.kind
            await self.journal.audit(session, machine, by, "power_set", kind=kind)

    async def state(self, name: str) -> PowerState:
        machine, settings, _ = await self._settings(name)
        state = "unknown"
        if isinstance(settings, Redfish):
            bmc = _bmc(settings)
            async with await redfish_client(bmc, self.destinations) as client:
                state = await RedfishClient(bmc, client).state()
        return PowerState(machine=machine.name, kind=settings.kind, state=state)

    async def switch(self, name: str, *actions: PowerAction, by: str) -> PowerDone:
        """One after the other; a network boot is `boot_network` and then `cycle`."""
        machine, settings, macs = await self._settings(name)
        for action in actions:
            await self._switch(machine, settings, macs, action)
        async with self.db.transaction() as session:
            machine = await get_machine(session, machine.id)
            await self.journal.audit(session, machine, by, "power", actions=list(actions), kind=settings.kind)
            await self.journal.emit(session, machine, "power", actions=list(actions), by=by)
        return PowerDone(machine=machine.name, kind=settings.kind, actions=list(actions))

    async def _settings(self, name: str) -> tuple[Machine, WakeOnLan | Redfish | PowerWebhook, list[str]]:
        async with self.db.session() as session:
            machine = await get_machine(session, name)
            macs = list((await Machines(session).macs_of([machine.id]))[machine.id])
        if machine.power is None:
            raise Conflict(
                "power.not_set",
                f"No power control is set for {machine.name}.",
                "Set it up: `soundstage machines power-setup NAME KIND` (wol, redfish or webhook).",
            )
        opened = {
            key: self.sealer.unseal(value) if key in POWER_SECRETS and value else value
            for key, value in machine.power.items()
        }
        return machine, _SETTINGS.validate_python(opened), macs

    async def _switch(
        self,
        machine: Machine,
        settings: WakeOnLan | Redfish | PowerWebhook,
        macs: list[str],
        action: PowerAction,
    ) -> None:
        match settings:
            case WakeOnLan():
                if action is not PowerAction.ON:
                    raise Invalid(
                        "power.only_on", "Wake-on-LAN can only switch on.", "Set up Redfish or a webhook."
                    )
                targets = [settings.mac] if settings.mac else macs
                await wake(targets, str(settings.broadcast), settings.port)
            case Redfish():
                bmc = _bmc(settings)
                async with await redfish_client(bmc, self.destinations) as client:
                    await RedfishClient(bmc, client).do(action)
            case PowerWebhook():
                await _call(settings, machine.name, action, self.destinations)

    def _sealed(self, settings: dict[str, Any]) -> dict[str, Any]:
        return {
            key: self.sealer.seal(str(value)) if key in POWER_SECRETS and value else value
            for key, value in settings.items()
        }


def _bmc(settings: Redfish) -> Bmc:
    return Bmc(
        str(settings.url), settings.user, settings.password, settings.system, settings.certificate_sha256
    )


async def _call(
    settings: PowerWebhook, machine: str, action: PowerAction, destinations: Destinations
) -> None:
    body = json.dumps({"machine": machine, "action": action}).encode()
    signature = hmac.new(settings.secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Soundstage-Signature": f"sha256={signature}"}
    try:
        async with (
            outgoing_client(destinations, WEBHOOK_BOUNDS) as client,
            # The body is not read: its status says whether the switch took the wish.
            client.stream("POST", str(settings.url), content=body, headers=headers) as answer,
        ):
            pass
    except httpx.HTTPError as error:
        raise Upstream(
            "power.webhook_failed", f"The webhook does not answer: {type(error).__name__}.", "Check its URL."
        ) from error
    if not answer.is_success:
        raise Upstream(
            "power.webhook_failed",
            f"The webhook answered {answer.status_code}.",
            "Look at the receiver's log.",
        )
