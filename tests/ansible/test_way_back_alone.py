"""One of two machines with the database is lost; the other one becomes a single one while that is off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from control_machines_in_lab import MACHINES, query
from farm_in_lab import LabFarm
from journey_inputs import FARM
from standby_in_lab import DATABASES, PATRONICTL, standby_of, takes_writes, wait_for_standby
from studio_in_lab import eventually

from lab.farm_in_a_box import Lab
from lab.plan import machines_named

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(3600), pytest.mark.cached(*FARM)]
PARTS = ("--tags", "common,consul,postgresql")


def test_the_standby_of_a_lost_primary_becomes_a_single_one(
    lab_names: Callable[[str], Lab],
    engines: dict[str, Path],
    baked_layer: str,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    lab = lab_names("back")
    lab.up(machines_named(list(MACHINES)), groups={"control": list(MACHINES)}, layers=[baked_layer])
    farm = LabFarm(lab, tmp_path / "farm", engines)
    for machine in DATABASES:
        farm.add_to_group(machine, "database")
    farm.converge(*PARTS)
    lost = wait_for_standby(farm)
    stays = standby_of(lost)
    query(farm, "CREATE TABLE kept (number int); INSERT INTO kept VALUES (7)", on=lost)
    eventually(lambda: query(farm, "SELECT number FROM kept", on=stays) == [["7"]], "the row on the standby")

    lab.power_off(lost)
    farm.remove_from_group(lost, "database")
    run = farm.play(*PARTS, "-e", "ansible_ssh_timeout=5")

    assert (run.count(lost, "unreachable"), run.count(stays, "failed")) == (1, 0), run.output[-5000:]
    assert takes_writes(farm.on, stays) and query(farm, "SELECT number FROM kept", on=stays) == [["7"]]
    assert farm.on(stays, *PATRONICTL, "list").returncode != 0, "Patroni is gone"

    lab.power_on(lost)
    eventually(lambda: farm.on(lost, "true").returncode == 0, "the machine that was off")
    assert not takes_writes(farm.on, lost), "it has no key for the lead"
    query(farm, "INSERT INTO kept VALUES (8)", on=stays)
    farm.converge(*PARTS)
    assert farm.on(lost, "sh", "-c", "ls -d /var/lib/postgresql/*/main.unused-*").returncode == 0
    assert farm.on(lost, "pgrep", "-x", "postgres").returncode != 0
    assert query(farm, "SELECT number FROM kept ORDER BY 1", on=stays) == [["7"], ["8"]]
    assert farm.converge(*PARTS).changed() == 0
