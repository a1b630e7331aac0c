"""Answers firmware and installers, and grants the one write that an acceptance allows."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError

from provisioning_api.artefacts.manifest import Manifest
from provisioning_api.artefacts.service import ArtefactService
from provisioning_api.boot.scripts import KERNEL, RAMDISK, Place, boot_kind, boot_script
from provisioning_api.enrolment.ramdisks import RamdiskService
from provisioning_api.enrolment.schemas import SignedCall
from provisioning_api.machines.hardware import Hardware
from provisioning_api.machines.journal import MachineJournal
from provisioning_api.machines.models import Machine
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.states import GuardFacts, MachineState
from provisioning_api.timeline.service import TimelineService
from pxe.installer.plan import InstallerSettings, InstallPlan, ReportedDisk, choose_disk, render_preseed
from pxe.installer.ramdisk import SETTINGS
from soundstage.database import Database, utcnow
from soundstage.errors import Conflict, NotFound


def machine_preseed(machine: Machine, artefacts: ArtefactService) -> str:
    """Renders the preseed. Raises NotFound when the installer is not published, Conflict when it cannot
    install this machine.
    """
    settings = _settings(artefacts)
    hardware = Hardware.model_validate(machine.hardware or {})
    disks = [ReportedDisk(one.name, one.bytes, one.serial) for one in hardware.disks]
    disk = choose_disk(disks, settings.least_disk_bytes)
    return render_preseed(InstallPlan(name=machine.name, disk=disk, settings=settings))


def _settings(artefacts: ArtefactService) -> InstallerSettings:
    path = artefacts.path(SETTINGS)
    content = path.read_bytes()
    manifest = artefacts.manifest()
    signed = manifest.find(SETTINGS) if manifest is not None else None
    if signed is None or hashlib.sha256(content).hexdigest() != signed.sha256:
        raise Conflict(
            "installer.not_as_published",
            f"{SETTINGS} was changed after it was published.",
            "Look at what has changed in the folder of the artefacts, then `soundstage machines publish`.",
        )
    try:
        return InstallerSettings.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "it"
        raise Conflict(
            "installer.bad_settings",
            f"{SETTINGS} cannot be used: {where}: {first['msg']}",
            "Correct it, then `soundstage machines publish`.",
        ) from error


class WriteGrant(BaseModel):
    """A yes to one write, now. The agent takes its plan from the manifest, which it verifies itself."""

    machine_id: str
    name: str
    acceptance: int
    manifest: Manifest | None
    challenge: str


@dataclass
class BootService:
    db: Database
    journal: MachineJournal
    artefacts: ArtefactService
    ramdisks: RamdiskService
    timeline: TimelineService

    async def script(self, mac: str, place: Place) -> str:
        """For the machine with this address. Asking changes nothing: firmware proves nothing."""
        has_ramdisk = await asyncio.to_thread(self._has_ramdisk)
        async with self.db.session() as session:
            found = await Machines(session).by_macs([mac])
        machine = found[0] if found else None
        if machine is None:
            kind = boot_kind(None, GuardFacts(), wiping=False, has_ramdisk=has_ramdisk)
        else:
            wiping = machine.wiping is not None
            kind = boot_kind(machine.state, machine.guard_facts, wiping=wiping, has_ramdisk=has_ramdisk)
            await self.timeline.record_boot(machine.id, kind)
        return boot_script(kind, place)

    async def read_preseed(self, mac: str) -> str:
        """Returns the preseed for the machine with this address. It holds no secret."""
        async with self.db.session() as session:
            found = await Machines(session).by_macs([mac])
        if not found:
            raise NotFound("machine.not_found", f"No machine has the address {mac}.", "Boot it once.")
        return await asyncio.to_thread(machine_preseed, found[0], self.artefacts)

    async def begin_write(self, call: SignedCall) -> WriteGrant:
        """Uses the acceptance up, before the first byte is written: a second boot finds nothing to use."""
        manifest = await asyncio.to_thread(self.artefacts.manifest)
        async with self.db.transaction() as session:
            machine = await self.ramdisks.authenticate(session, "write", call)
            await self.ramdisks.enrolments.begin_write(session, machine)
            await self.journal.move(session, machine, MachineState.DEPLOYING, by=machine.accepted_by)
            machine.written = machine.acceptance
            machine.seen_at = utcnow()
            await self.journal.audit(
                session, machine, machine.accepted_by, "write_begun", acceptance=machine.acceptance
            )
            return WriteGrant(
                machine_id=machine.id,
                name=machine.name,
                acceptance=machine.acceptance,
                manifest=manifest,
                challenge=self.ramdisks.challenges.make(machine.id),
            )

    def _has_ramdisk(self) -> bool:
        manifest = self.artefacts.manifest()
        return manifest is not None and all(manifest.find(name) for name in (KERNEL, RAMDISK))
