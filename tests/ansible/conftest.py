"""Fixtures of the Ansible tests: Ansible's own environment, and one farm on the lab that is set up once."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "lab_fixture"))

from agent_in_lab import packed_program
from control_machines_in_lab import MACHINES, STORE, STUDIOS
from farm_in_lab import ANSIBLE, ROOT, STUDIO, Carried, LabFarm, Run, sha256, whats_carried
from lab_machines import lab_names as lab_names

from lab.bake import bake
from lab.cards.catalogue import read_gpus
from lab.farm_in_a_box import Lab
from lab.layers import forget_old_layers, layer_folder
from lab.paths import cache_folder
from lab.plan import machines_named
from lab.root_tree import make_root_tree


@pytest.fixture(scope="session")
def ansible_environment() -> Path:
    if not (ANSIBLE / "ansible-playbook").exists():
        pytest.skip("Ansible's environment is not made: scripts/setup test")
    return ANSIBLE


@pytest.fixture(scope="session")
def engines(ansible_environment: Path) -> dict[str, Path]:
    """The built Nomad and Consul."""
    done = subprocess.run([ROOT / "tools" / "build", "nomad", "consul"], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"Nomad and Consul cannot be built: {done.stderr.strip()}")
    return {name: Path(path) for name, path in (line.split("\t") for line in done.stdout.splitlines())}


@pytest.fixture(scope="session")
def carried(ansible_environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Carried:
    """The worker and what else comes from the controller."""
    return whats_carried(tmp_path_factory.mktemp("carried"))


@pytest.fixture(scope="session")
def bake_roles(
    engines: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, list[str], Carried], str]:
    """Bakes what the roles install on a machine of some groups: `bake_roles("packages", groups, carried)`
    returns the name of the layer. Everything that decides what it holds is in its name."""

    def bake_once(prefix: str, groups: list[str], carried: Carried) -> str:
        roles = [
            *(ROOT / "ansible/roles").glob("*/defaults/main.yml"),
            *(ROOT / "ansible/roles").glob("*/tasks/install*"),
        ]
        digest = hashlib.sha256("".join(path.read_text() for path in sorted(roles)).encode())
        digest.update("".join(sha256(program) for program in engines.values()).encode())
        digest.update(carried.name.encode())
        name = f"{prefix}-{digest.hexdigest()[:12]}"
        root_tree = make_root_tree(print)
        cache_folder().mkdir(parents=True, exist_ok=True)
        # Tests in another process may want the same layer: one of them makes it, the others wait.
        with (cache_folder() / f".{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if layer_folder(root_tree, name).exists():
                return name
            lab = Lab(f"bake-{name}"[:31].rstrip("-"))
            farm = LabFarm(lab, tmp_path_factory.mktemp("bake"), engines, carried)
            command = [str(ANSIBLE / "ansible-playbook"), "-i", str(farm.inventory), "playbook.yaml"]
            bake(name, [*command, "--tags", "install"], groups=groups)
            forget_old_layers(root_tree, f"{prefix}-", keep=2)
        return name

    return bake_once


@pytest.fixture(scope="session")
def baked_layer(bake_roles: Callable[[str, list[str], Carried], str], carried: Carried) -> str:
    """The name of a layer with what the roles install, so that tests wait for it once and not for each
    machine."""
    return bake_roles("packages", ["control", "workers"], carried)


@pytest.fixture(scope="session")
def farm(
    lab_names: Callable[[str], Lab],
    engines: dict[str, Path],
    carried: Carried,
    baked_layer: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> LabFarm:
    """One control machine and three workers: with a card of 24 GiB, with one of 8, and with none but Docker.
    Bare until a test sets them up."""
    lab = lab_names("farm")
    workers = {"gpu": ["gpu-1", "gpu-2"], "cpu": ["cpu-1"]}
    groups = {"control": ["control-1"], "workers": ["cpu-1", "gpu-1", "gpu-2"], **workers}
    cards = read_gpus("0,0,rtx-4090,rtx-2080-super")
    lab.up(
        machines_named([*groups["control"], *groups["workers"]], cards), groups=groups, layers=[baked_layer]
    )
    pools = {"cpu": {"nomad__drivers": ["exec", "docker"]}}
    return LabFarm(lab, tmp_path_factory.mktemp("farm"), engines, carried, pools)


@pytest.fixture(scope="session")
def build_control_farm(
    lab_names: Callable[[str], Lab],
    engines: dict[str, Path],
    carried: Carried,
    baked_layer: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., LabFarm]:
    """Builds three bare control machines, of which two run the studio; `groups` names the rest."""

    def build(name: str, groups: dict[str, list[str]], **more: Any) -> LabFarm:
        folder = tmp_path_factory.mktemp(name)
        both, lab = carried | packed_program(folder), lab_names(name)
        members = {"control": list(MACHINES), "agent": list(STUDIOS), **groups}
        lab.up(machines_named(list(MACHINES)), groups=members, layers=[baked_layer])
        return LabFarm(lab, folder / "farm", engines, both, variables=STUDIO | more)

    return build


@pytest.fixture(scope="session")
def control_farm(build_control_farm: Callable[..., LabFarm]) -> LabFarm:
    """Three control machines, two of which run studio and provisioning API; bare until `control_run`. A test
    leaves it as it was."""
    groups = {"provisioning": list(STUDIOS), **{one: [STORE] for one in ("database", "storage", "workers")}}
    # Machines that are taken in are configured by a playbook of the test, and many may call.
    settings = ('playbook = "waiting.yaml"', "new_machines_per_hour = 3600", "discovered_max = 1000")
    more = {"provisioning_api__ssh_user": "root", "provisioning_api__extra": "\n".join(settings)}
    return build_control_farm("two", groups, agent__extra="[webhooks]\nloopback = true", **more)


@pytest.fixture(scope="session")
def control_run(control_farm: LabFarm) -> Run:
    """The first run of the playbook on it."""
    return control_farm.converge()
