"""Chooses the key that authenticates a machine, and stores others; called by discovery and intake."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.machines.models import Machine, MachineKey
from provisioning_api.machines.repository import Machines
from soundstage.database import utcnow
from soundstage.errors import Conflict, Invalid, NotFound

# Of the keys that are not bound. A further one replaces the oldest of the address with the most.
CONFLICTS_PER_MACHINE = 8
NOWHERE = "unknown"


def code_of(agent_key: str | None) -> str:
    """Return what a ramdisk shows on its console and we in our list: 48 bits of its key, to be compared by
    people.
    """
    if agent_key is None:
        return ""
    digest = hashlib.sha256(bytes.fromhex(agent_key)).hexdigest()
    return "-".join(digest[at : at + 4] for at in range(0, 12, 4))


async def note_key(session: AsyncSession, machine: Machine, agent_key: str, source: str | None) -> None:
    """Notes that this key reported as this machine."""
    machines = Machines(session)
    rows = await machines.keys_of(machine.id)
    row = next((row for row in rows if row.agent_key == agent_key), None)
    if row is not None:
        row.source, row.last_at, row.reports = source or NOWHERE, utcnow(), row.reports + 1
        return
    others = [row for row in rows if row.agent_key != machine.agent_key]
    if agent_key != machine.agent_key and len(others) >= CONFLICTS_PER_MACHINE:
        await machines.drop_keys(machine.id, [_least_needed(others).agent_key])
    await machines.add_key(MachineKey(machine_id=machine.id, agent_key=agent_key, source=source or NOWHERE))


def _least_needed(rows: Sequence[MachineKey]) -> MachineKey:
    """Returns who reports with ever new keys from one address does not push out a machine at another one."""
    counted = Counter(row.source for row in rows)
    maximum = max(counted.values())
    return min((row for row in rows if counted[row.source] == maximum), key=lambda row: row.last_at)


async def check_code(session: AsyncSession, machine: Machine, code: str | None) -> None:
    """Raise unless `code` is that of the key that counts; a machine that never reported has none."""
    if machine.agent_key is None and code is None:
        return
    if code is None:
        raise Invalid(
            "machine.code_missing",
            f"{machine.name} has reported with a key, and the yes names none.",
            f"Compare with its console, then: `soundstage machines accept {machine.name} --code CODE`.",
        )
    if code != code_of(machine.agent_key):
        rows = await Machines(session).keys_of(machine.id)
        reported = any(code_of(row.agent_key) == code for row in rows)
        seen = "a key that has reported too, and does not count" if reported else "no key that has reported"
        raise Conflict(
            "machine.code_changed",
            f"{code} is the code of {seen}; nothing was accepted.",
            f"Compare `soundstage machines show {machine.name}` with its console; `soundstage machines key "
            f"{machine.name} --code CODE` says which key counts.",
        )


async def key_with_code(session: AsyncSession, machine: Machine, code: str) -> str:
    """Return the one key that has reported as this machine and has this code."""
    rows = await Machines(session).keys_of(machine.id)
    found = [row.agent_key for row in rows if code_of(row.agent_key) == code]
    if len(found) != 1:
        raise NotFound(
            "machine.code_unknown",
            f"No single key with the code {code} has reported as {machine.name}.",
            "Wait until the machine reports (every few seconds), and read its code anew.",
        )
    return found[0]


async def set_key(session: AsyncSession, machine: Machine, agent_key: str) -> list[str]:
    """Make this the key that counts, and forget the others; return the codes of these."""
    machines = Machines(session)
    others = [row.agent_key for row in await machines.keys_of(machine.id) if row.agent_key != agent_key]
    machine.agent_key = agent_key
    await machines.drop_keys(machine.id, others)
    return [code_of(other) for other in others]
