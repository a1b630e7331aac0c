"""Reads the settings that all machines of an inventory share; called by the export and by each run."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.certificates.ssh_authority import SshAuthority
from provisioning_api.enrolment.engine_identities import CONSUL_AGENT
from provisioning_api.enrolment.repository import Credentials
from provisioning_api.inventory.hosts import Farm, farm_variables
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.states import MachineState


async def farm_of(session: AsyncSession, ssh: SshAuthority, user: str) -> Farm:
    """`user`: the SSH user of runs."""
    machines = await Machines(session).list()
    retired = {one.name for one in machines if one.state == MachineState.RETIRED}
    # A name of a retired machine may be that of another one by now.
    retired -= {one.name for one in machines if one.state != MachineState.RETIRED}
    return Farm(
        user=user,
        shared=farm_variables(ssh.user_ca_public_key, user, sorted(retired)),
        with_consul_token=await Credentials(session).machines_with(CONSUL_AGENT),
    )
