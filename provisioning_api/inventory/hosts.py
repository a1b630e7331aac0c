"""Machines as Ansible sees them; used for the export and for the snapshot of each run.

The groups `control`, `workers` and `gpu` are those that the playbook and its roles speak of, so that a farm
of accepted machines needs no other inventory.

What a machine says of itself gets in here as numbers, as words of fixed kinds, and as text of which
everything was taken out that a template or a shell would act on (`machines.hardware.plain`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.certificates.ssh_authority import SshAuthority
from provisioning_api.enrolment.engine_identities import CONSUL_AGENT
from provisioning_api.enrolment.repository import Credentials
from provisioning_api.machines.hardware import Hardware
from provisioning_api.machines.models import Machine
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.states import MachineState

# What the plays of the project run on (playbook.yaml, inventory/hosts.yaml).
ROLE_GROUPS = ("control", "workers", "gpu")


@dataclass(frozen=True, slots=True)
class Farm:
    """Settings of the inventory that all machines share. `user`: the SSH user; `shared`: the
    variables of all; `with_consul_token`: ids of the machines whose enrolment gave them a token of Consul's,
    so that the roles give them none.
    """

    user: str
    shared: dict[str, Any]
    with_consul_token: frozenset[str]


def host_variables(machine: Machine, farm: Farm) -> dict[str, Any]:
    """The variables of one host; `soundstage_*` are ours."""
    hardware = Hardware.model_validate(machine.hardware or {})
    return {
        "ansible_host": machine.address,
        "ansible_port": machine.ssh_port,
        "ansible_user": farm.user,
        # Certificates name the machine, not its address.
        "ansible_ssh_extra_args": f"-o HostKeyAlias={machine.name}",
        "soundstage_id": machine.id,
        "soundstage_state": machine.state,
        "soundstage_pool": machine.pool,
        "soundstage_consul_token": machine.id in farm.with_consul_token,
        "soundstage_tags": machine.tags,
        "soundstage_cpu_threads": hardware.cpu_threads,
        "soundstage_memory_mib": hardware.memory_mib,
        "soundstage_gpus": [gpu.model_dump(mode="json") for gpu in hardware.gpus],
    }


def groups_of(machines: Iterable[Machine]) -> dict[str, list[str]]:
    """`members`, the groups of the roles, one group per pool and per tag, and those with cards of either
    maker.

    The tag `control` makes a server of a machine; every other machine works, and one with both tags,
    `control` and `worker`, does both. `gpu` are machines that work and have NVIDIA cards.
    """
    found: dict[str, list[str]] = {"members": [], **{name: [] for name in ROLE_GROUPS}}
    for machine in machines:
        hardware = Hardware.model_validate(machine.hardware or {})
        names = ["members", f"pool_{_word(machine.pool)}", *(f"tag_{_word(tag)}" for tag in machine.tags)]
        vendors = {gpu.vendor for gpu in hardware.gpus}
        names += ["nvidia"] * ("10de" in vendors) + ["amd"] * ("1002" in vendors)
        serves = "control" in machine.tags
        works = "worker" in machine.tags or not serves
        names += ["control"] * serves + ["workers"] * works + ["gpu"] * (works and "10de" in vendors)
        for name in names:
            found.setdefault(name, []).append(machine.name)
    return found


async def farm_of(session: AsyncSession, ssh: SshAuthority, user: str) -> Farm:
    """Reads the settings that all machines share; `user`: the SSH user of runs.

    By its variables the role ssh_hardening keeps our SSH access, since it admits only users whom the farm's
    own authority signed and these, and the role farm revokes certificates.
    """
    machines = await Machines(session).list()
    retired = {one.name for one in machines if one.state == MachineState.RETIRED}
    # A name of a retired machine may be that of another one by now.
    retired -= {one.name for one in machines if one.state != MachineState.RETIRED}
    shared = {
        "ssh_hardening__also_trusted": [{"user": user, "authority": ssh.user_ca_public_key}],
        "farm__retired": sorted(retired),
    }
    return Farm(user, shared, await Credentials(session).machines_with(CONSUL_AGENT))


def listing(machines: Sequence[Machine], farm: Farm) -> dict[str, Any]:
    """Returns what `ansible-inventory --list` prints, and what an inventory script may answer."""
    groups = groups_of(machines)
    return {
        "_meta": {"hostvars": {machine.name: host_variables(machine, farm) for machine in machines}},
        "all": {"children": ["ungrouped", *sorted(groups)], "vars": farm.shared},
        **{name: {"hosts": hosts} for name, hosts in sorted(groups.items())},
    }


def snapshot(machines: Sequence[Machine], farm: Farm, connection: dict[str, Any]) -> dict[str, Any]:
    """The same as a static inventory (JSON is YAML). `connection` is how each machine is reached: variables
    of the machine itself, which no group of the operator's can change.
    """
    groups = groups_of(machines)
    return {
        "all": {
            "hosts": {machine.name: host_variables(machine, farm) | connection for machine in machines},
            "vars": farm.shared,
            "children": {name: {"hosts": dict.fromkeys(hosts)} for name, hosts in sorted(groups.items())},
        }
    }


def _word(text: str) -> str:
    # Ansible wants groups to be words that Python would take for a name.
    return text.replace("-", "_")
