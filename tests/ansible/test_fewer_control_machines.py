"""A farm of three control machines loses one for good and goes on with two, as docs/guide/storage.md says."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import waiting
from farm_in_lab import LabFarm
from journey_inputs import FARM

from lab.farm_in_a_box import Lab
from lab.plan import machines_named

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(2400), pytest.mark.cached(*FARM)]
MACHINES = ("control-1", "control-2", "control-3")
STAY, LOST = MACHINES[:2], MACHINES[2]
PARTS = ("--tags", "common,consul,nomad")
PEERS = {"nomad": ("4646", "X-Nomad-Token"), "consul": ("8501", "X-Consul-Token")}
eventually = partial(waiting.eventually, within_s=300, pause_s=1.0)


@pytest.fixture(scope="module")
def farm(
    lab_names: Callable[[str], Lab],
    engines: dict[str, Path],
    baked_layer: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> LabFarm:
    lab = lab_names("fewer")
    lab.up(machines_named(list(MACHINES)), groups={"control": list(MACHINES)}, layers=[baked_layer])
    return LabFarm(lab, tmp_path_factory.mktemp("fewer"), engines, variables={"nomad__gpu_plugin": False})


def ask(farm: LabFarm, engine: str, path: str) -> Any:
    """Asks the engine on the first machine; None while it does not answer well."""
    port, header = PEERS[engine]
    url = f"https://{farm.lab.plan.machine('control-1').address}:{port}{path}"
    return farm.json(url, header, farm.secret(f"{engine}/management.token"))


def peers(farm: LabFarm, engine: str) -> int:
    return len(ask(farm, engine, "/v1/status/peers") or [])


def test_two_machines_go_on_after_the_third_was_lost(farm: LabFarm) -> None:
    farm.converge(*PARTS)
    for engine in PEERS:
        eventually(lambda one=engine: peers(farm, one) == 3, f"three servers of {engine}")
    farm.lab.power_off(LOST)
    # As an inventory that names it no more.
    names = {"farm__control": list(STAY), "farm__machines": list(STAY)}
    (farm.inventory / "30-fewer.yaml").write_text(json.dumps({"all": {"vars": names}}))
    limit = ("--limit", ",".join(STAY))
    farm.converge(*PARTS, *limit)
    for engine in PEERS:
        eventually(lambda one=engine: peers(farm, one) == 2, f"two servers of {engine}")
        assert ask(farm, engine, "/v1/status/leader")
    known = {one["Node"] for one in ask(farm, "consul", "/v1/catalog/nodes")}
    print(f"Consul lists {known}.")
    assert farm.converge(*PARTS, *limit).changed() == 0
