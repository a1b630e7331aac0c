"""A farm that is one machine, which stands in the groups `control` and `workers`: a server and a client."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from farm_in_lab import ROOT, LabFarm, run_ansible
from studio_in_lab import eventually

from lab.farm_in_a_box import Lab
from lab.plan import machines_named

GROUPS = {"control": ["both", "server"], "workers": ["both", "client"]}


def test_what_a_machine_is_follows_from_all_its_groups(tmp_path: Path, ansible_environment: Path) -> None:
    inventory = tmp_path / "farm.yaml"
    hosts = {group: {"hosts": {one: {} for one in names}} for group, names in GROUPS.items()}
    inventory.write_text(json.dumps({"all": {"children": hosts}}))
    roles = ROOT / "ansible" / "roles"
    words = "is {{ nomad__server }} {{ nomad__client }} {{ nomad__node_pool }} {{ health__gate }}"
    play = {
        "hosts": "all",
        "gather_facts": False,
        "vars_files": [str(roles / role / "defaults/main.yml") for role in ("farm", "nomad", "health")],
        "tasks": [{"ansible.builtin.debug": {"msg": f"{{{{ inventory_hostname }}}} {words}"}}],
    }
    (tmp_path / "show.yaml").write_text(json.dumps([play]))

    shown = run_ansible(
        "ansible-playbook", ["-i", str(inventory), str(tmp_path / "show.yaml")], dict(os.environ)
    )

    assert "both is True True default True" in shown.output, shown.output
    assert "server is True False control False" in shown.output
    assert "client is False True default True" in shown.output


# The shortest way from a bare machine to a farm: it runs whatever has changed.
@pytest.mark.root
@pytest.mark.timeout(1200)
@pytest.mark.smoke
def test_one_machine_is_a_whole_farm(
    lab_names: Callable[[str], Lab], engines: dict[str, Path], tmp_path: Path
) -> None:
    lab = lab_names("small")
    lab.up(machines_named(["one"]), groups={"control": ["one"], "workers": ["one"]})
    farm = LabFarm(lab, tmp_path / "farm", engines, groups={"control": {"nomad__gpu_plugin": False}})
    parts = ("--tags", "common,consul,nomad")

    farm.converge(*parts)

    token, nomad = farm.secret("nomad/management.token"), f"https://{lab.plan.machine('one').address}:4646"
    nodes = eventually(lambda: farm.json(f"{nomad}/v1/nodes", "X-Nomad-Token", token), "the node")
    assert [(one["Name"], one["NodePool"]) for one in nodes] == [("one", "default")]
    assert farm.json(f"{nomad}/v1/status/leader", "X-Nomad-Token", token)
    assert farm.converge(*parts).changed() == 0
