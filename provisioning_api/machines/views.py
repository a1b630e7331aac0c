"""Machines as people see them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from provisioning_api.machines.hardware import Hardware
from provisioning_api.machines.models import Machine
from provisioning_api.machines.schemas import MachineDetail, MachineView
from provisioning_api.machines.states import MachineState

NEXT = {
    MachineState.DISCOVERED: "Accept it (`soundstage machines accept {name}`), or reject it.",
    MachineState.ACCEPTED: "It is written and enrolled at its next network boot, or enrols with a token.",
    MachineState.DEPLOYING: "It writes its disk; then it enrols.",
    MachineState.ENROLLED: "It calls home at its first boot, and is configured then.",
    MachineState.CONFIGURING: "A run configures it: `soundstage runs list`.",
    MachineState.READY: "Nothing: it works.",
    MachineState.DRAINING: "It is wiped at its next network boot, then retired.",
    MachineState.RETIRED: "Nothing; `soundstage machines accept {name}` takes it back.",
    MachineState.FAILED: "Mend the cause, then start a run on it, or accept it anew to write it again.",
}


def view_of(machine: Machine, macs: Sequence[str]) -> MachineView:
    return MachineView(**_fields(machine, macs))


def detail_of(machine: Machine, macs: Sequence[str]) -> MachineDetail:
    return MachineDetail(
        **_fields(machine, macs),
        host_key=machine.host_key,
        hardware=None if machine.hardware is None else Hardware.model_validate(machine.hardware),
        next=NEXT[machine.where].format(name=machine.name),
    )


def code_of(agent_key: str | None) -> str:
    """What a ramdisk shows on its console and we in our list: 48 bits of its key, for people to compare."""
    if agent_key is None:
        return ""
    digest = hashlib.sha256(bytes.fromhex(agent_key)).hexdigest()
    return "-".join(digest[at : at + 4] for at in range(0, 12, 4))


def _fields(machine: Machine, macs: Sequence[str]) -> dict[str, object]:
    return {
        "id": machine.id,
        "name": machine.name,
        "state": machine.where,
        "pool": machine.pool,
        "tags": machine.tags,
        "macs": list(macs),
        "seen_macs": [] if machine.seen_macs in (None, list(macs)) else machine.seen_macs,
        "uuid": machine.uuid,
        "address": machine.address,
        "ssh_port": machine.ssh_port,
        "host_key_from": machine.host_key_from,
        "code": code_of(machine.agent_key),
        "accepted_by": machine.accepted_by,
        "may_be_written": machine.standing.may_be_written,
        "cause": machine.cause,
        "hint": machine.hint,
        "power": None if machine.power is None else machine.power.get("kind"),
        "created_at": machine.created_at,
        "seen_at": machine.seen_at,
    }
