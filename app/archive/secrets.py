"""Finds encrypted secrets in a backup, whose key it leaves out on purpose; `backup` and `restore` say so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import select

from app.tables import all_tables
from provisioning_api.announcements.models import Announcement
from provisioning_api.machines.models import Machine
from provisioning_api.power.service import POWER_SECRETS
from soundstage.database import Database
from soundstage.database.tenants import bypass_tenant_filter
from soundstage.errors import Unavailable

SEALED = "_sealed"
"""How columns end that hold what only the key file opens."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Tokens, signing secrets and upload addresses of one database, and how many of them stay shut here."""

    sealed: int
    unreadable: int


async def look_at_secrets(database: Database, unseal: Callable[[str], str]) -> Secrets:
    """Tries every sealed value. Nothing of what is in them leaves this function."""
    sealed = unreadable = 0
    with bypass_tenant_filter():
        async with database.session() as session:
            for table in all_tables().sorted_tables:
                for column in (column for column in table.columns if column.name.endswith(SEALED)):
                    for value in await session.scalars(select(column).where(column.is_not(None))):
                        sealed += 1
                        unreadable += not _opens(unseal, value)
    return Secrets(sealed, unreadable)


async def look_at_machine_secrets(database: Database, unseal: Callable[[str], str]) -> Secrets:
    """The same of the machines: secrets that they are announced with, and of what switches their power."""
    async with database.session() as session:
        found = list(await session.scalars(select(Announcement.secret)))
        for power in await session.scalars(select(Machine.power).where(Machine.power.is_not(None))):
            found += [value for name, value in (power or {}).items() if name in POWER_SECRETS and value]
    return Secrets(len(found), sum(not _opens(unseal, value) for value in found))


def _opens(unseal: Callable[[str], str], value: str) -> bool:
    try:
        unseal(value)
    except Unavailable:
        return False
    return True
