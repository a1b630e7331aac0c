"""Machines as people see them."""

from __future__ import annotations

from collections.abc import Sequence

from provisioning_api.machines.hardware import Hardware
from provisioning_api.machines.keys import code_of
from provisioning_api.machines.models import Machine, MachineKey
from provisioning_api.machines.schemas import MachineDetail, MachineView, OtherKey
from provisioning_api.machines.states import MachineState

NEXT = {
    MachineState.DISCOVERED: "Compare the code on its console, then accept it "
    "(`soundstage machines accept {name}{code}`), or reject it.",
    MachineState.ACCEPTED: "It is written and enrolled at its next network boot, or enrols with a token.",
    MachineState.DEPLOYING: "It writes its disk; then it enrols.",
    MachineState.ENROLLED: "It calls home at its first boot, and is configured then.",
    MachineState.CONFIGURING: "A run configures it: `soundstage runs list`.",
    MachineState.READY: "Nothing: it works.",
    MachineState.DRAINING: "It is wiped at its next network boot, then retired.",
    MachineState.WIPE_UNVERIFIED: "Repeat the wipe (`soundstage machines retire {name}`), or destroy its "
    "disks and say so (`--keep-disks`).",
    MachineState.RETIRED: "It is out of service; `soundstage machines accept {name}{code}` takes it back.",
    MachineState.FAILED: "Mend the cause, then start a run on it, or accept it anew to write it again.",
}


def view_of(machine: Machine, macs: Sequence[str], keys: Sequence[MachineKey]) -> MachineView:
    return MachineView(**_fields(machine, macs, keys))


def detail_of(machine: Machine, macs: Sequence[str], keys: Sequence[MachineKey]) -> MachineDetail:
    return MachineDetail(
        **_fields(machine, macs, keys),
        host_key=machine.host_key,
        hardware=None if machine.hardware is None else Hardware.model_validate(machine.hardware),
        next=NEXT[machine.state].format(
            name=machine.name, code=f" --code {code_of(machine.agent_key)}" if machine.agent_key else ""
        ),
    )


def _fields(machine: Machine, macs: Sequence[str], keys: Sequence[MachineKey]) -> dict[str, object]:
    counting = next((key for key in keys if key.agent_key == machine.agent_key), None)
    source = None if counting is None else counting.source
    return {
        "id": machine.id,
        "name": machine.name,
        "state": machine.state,
        "pool": machine.pool,
        "tags": machine.tags,
        "macs": list(macs),
        "seen_macs": [] if machine.seen_macs in (None, list(macs)) else machine.seen_macs,
        "uuid": machine.uuid,
        "address": machine.address,
        "ssh_port": machine.ssh_port,
        "host_key_from": machine.host_key_from,
        "code": code_of(machine.agent_key),
        "code_source": source,
        "code_since": None if counting is None else counting.first_at,
        "conflicts": [
            OtherKey(
                code=code_of(key.agent_key),
                source=key.source,
                since=key.first_at,
                last_at=key.last_at,
                reports=key.reports,
                same_source=key.source == source,
            )
            for key in keys
            if key is not counting
        ],
        "accepted_by": machine.accepted_by,
        "may_be_written": machine.guard_facts.may_be_written,
        "cause": machine.cause,
        "hint": machine.hint,
        "power": None if machine.power is None else machine.power.get("kind"),
        "created_at": machine.created_at,
        "seen_at": machine.seen_at,
    }
