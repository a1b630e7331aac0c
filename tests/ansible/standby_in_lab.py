"""Two machines of a lab with PostgreSQL, of which one takes writes and the other follows; for drills."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

from farm_in_lab import LabFarm
from studio_in_lab import eventually

DATABASES = ("control-2", "control-3")
AS_POSTGRES = ("runuser", "-u", "postgres", "--")
PATRONICTL = (*AS_POSTGRES, "patronictl", "-c", "/etc/patroni/config.yml")
IS_STANDBY = (*AS_POSTGRES, "psql", "-Atqc", "SELECT pg_is_in_recovery()")


def members(farm: LabFarm, on: str) -> dict[str, str]:
    """Returns the machines of the cluster, each with its role and state, as a machine sees them."""
    done = farm.on(on, *PATRONICTL, "list", "--format", "json")
    if done.returncode != 0:
        return {}
    return {one["Member"]: f"{one['Role']} {one['State']}" for one in json.loads(done.stdout)}


def follows(farm: LabFarm, primary: str, standby: str) -> bool:
    found = members(farm, primary)
    running = {"Leader running", "Sync Standby running", "Sync Standby streaming"}
    return found.keys() == {primary, standby} and set(found.values()) <= running


def takes_writes(on: Callable[..., subprocess.CompletedProcess[str]], machine: str) -> bool:
    """`on`: what runs a command there, by SSH or at its console."""
    return on(machine, *IS_STANDBY).stdout.strip() == "f"


def primary_of(farm: LabFarm, among: tuple[str, ...] = DATABASES) -> str:
    """Returns the machine whose PostgreSQL takes writes; empty while none does."""
    return next((machine for machine in among if takes_writes(farm.on, machine)), "")


def standby_of(primary: str) -> str:
    return next(one for one in DATABASES if one != primary)


def wait_for_standby(farm: LabFarm) -> str:
    """Returns the primary when the other machine follows it."""
    primary = eventually(lambda: primary_of(farm), "a primary")
    eventually(lambda: follows(farm, primary, standby_of(primary)), "a synchronous standby")
    return primary
