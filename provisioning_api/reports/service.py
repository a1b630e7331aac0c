"""Takes up what deploy agents tell; each call is signed by the ramdisk that speaks."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.decommission.service import Decommission
from provisioning_api.enrolment.ramdisks import RamdiskService, read_payload
from provisioning_api.enrolment.schemas import SignedCall
from provisioning_api.machines.journal import MachineJournal
from provisioning_api.machines.models import Machine
from provisioning_api.machines.states import MACHINE_TRANSITIONS, MachineState
from provisioning_api.reports.schemas import Report, ReportedFailure, ReportTaken
from provisioning_api.timeline.service import TimelineService
from soundstage.database import Database, utcnow

AGAIN = "then accept it anew (`soundstage machines accept NAME`): that is a yes to one more write."
HINTS = {
    "disk_too_small": "Put in a larger disk, or publish a smaller image, " + AGAIN,
    "disk_failed": "Replace the disk, " + AGAIN,
    "no_disk": "Check the disk controller and its mode in the firmware (AHCI, not RAID), " + AGAIN,
    "bad_chunk": "Look at the folder of the artefacts and publish it anew, " + AGAIN,
    "bad_signature": "The image is not the published one: publish it anew, or look who sits in between, "
    + AGAIN,
    "artefact_missing": "Publish the artefacts (`soundstage machines publish`), " + AGAIN,
    "artefact_invalid": "Look at the folder of the artefacts and publish it anew, " + AGAIN,
    "network_lost": "Check its cable and the network, " + AGAIN,
    "no_network_card": "Build the image with a kernel that has the driver of its card, " + AGAIN,
    "kexec_refused": "Switch Secure Boot off in its firmware, or publish an image in place of the installer, "
    + AGAIN,
    "tls_failed": "The agent trusts another CA, or its clock is wrong: build it anew with this CA, " + AGAIN,
    "other_system": "Another disk of it holds a system of ours, and it could boot either: take that "
    "disk out, or retire the machine with a wipe of all its disks, " + AGAIN,
    "half_written": "It was switched off while it wrote; its disk holds nothing whole: " + AGAIN[5:],
}


@dataclass
class ReportService:
    db: Database
    ramdisks: RamdiskService
    journal: MachineJournal
    timeline: TimelineService
    decommission: Decommission

    async def take(self, call: SignedCall) -> ReportTaken:
        """All of it in one transaction."""
        report = read_payload(Report, call.payload)
        async with self.db.transaction() as session:
            machine = await self.ramdisks.authenticate(session, "report", call)
            machine.seen_at = utcnow()
            await self.timeline.record_spans(
                session, machine, [(span.name, span.ago_s, span.seconds) for span in report.spans]
            )
            if report.failure is not None:
                await self._failed(session, machine, report.failure)
            elif report.wiped is not None:
                await self.decommission.confirm_wipe(session, machine, report.wiped, call)
            state = machine.state
        return ReportTaken(state=state, challenge=self.ramdisks.challenges.make(call.machine_id))

    async def _failed(self, session: AsyncSession, machine: Machine, failure: ReportedFailure) -> None:
        """A member is not failed by what an unknown ramdisk says of it."""
        busy = machine.state in (MachineState.ACCEPTED, MachineState.DEPLOYING, MachineState.DRAINING)
        hint = HINTS.get(failure.code, "Look at the machine's console, " + AGAIN).replace(
            "NAME", machine.name
        )
        if busy and MachineState.FAILED in MACHINE_TRANSITIONS[machine.state]:
            await self.journal.move(
                session, machine, MachineState.FAILED,
                by="its deploy agent", cause=f"{failure.code}: {failure.message}", hint=hint,
            )  # fmt: skip
        else:
            await self.journal.emit(
                session, machine, "agent_failed", code=failure.code, message=failure.message
            )
