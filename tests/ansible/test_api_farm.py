"""A farm whose only inventory is the provisioning API: accepted machines are configured by the playbook, by
an operator who uses the inventory plugin, and by runs that the API starts itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from api_farm_in_lab import TAGS, ApiFarm, farm_by_the_api

from lab.farm_in_a_box import Lab
from lab.plan import machines_named

pytestmark = [pytest.mark.root, pytest.mark.timeout(2400)]


@pytest.fixture(scope="module")
def api_farm(
    lab_names: Callable[[str], Lab], engines: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiFarm]:
    lab = lab_names("api")
    lab.up(machines_named(["head", "hand"]))
    with farm_by_the_api(lab, tmp_path_factory.mktemp("api"), engines) as farm:
        farm.api.adopt("head", ["control"])
        farm.api.adopt("hand", [])
        yield farm


def test_the_plugin_gives_the_groups_of_the_playbook_by_the_api_and_by_a_snapshot(api_farm: ApiFarm) -> None:
    wanted = {"control": ["head"], "workers": ["hand"], "gpu": []}
    assert api_farm.groups({"url": api_farm.api.url}) == wanted
    snapshot = api_farm.folder / "snapshot.json"
    snapshot.write_text(json.dumps(api_farm.api.ask("GET", "/api/inventory")))
    assert api_farm.groups({"snapshot": str(snapshot)}) == wanted
    chosen = {"url": api_farm.api.url, "group_names": {"control": ["tag_control"], "workers": ["members"]}}
    assert api_farm.groups(chosen)["workers"] == ["hand", "head"]


@pytest.mark.slow
def test_runs_of_the_api_make_a_farm_and_the_api_can_come_back(api_farm: ApiFarm) -> None:
    api_farm.configured("head", "hand")
    # One machine alone, as a part of its farm. By now the farm's own authorities rule its door, and lists of
    # keys are shut out: the lab's own key does not open it any more.
    assert api_farm.lab.run("hand", ["true"]).returncode != 0
    api_farm.configured("hand")
    config = (api_farm.lab.paths.machine("hand").root / "etc/consul.d/consul.hcl").read_text()
    assert api_farm.lab.plan.machine("head").address in config


@pytest.mark.slow
def test_an_operators_run_with_the_plugin_finds_nothing_to_do(api_farm: ApiFarm) -> None:
    login = {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(api_farm.folder / "secrets/ssh/ansible"),
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={api_farm.folder}/secrets/ssh/known_hosts",
    }
    done = api_farm.ansible(
        "ansible-playbook",
        {"url": api_farm.api.url},
        str(api_farm.project / "playbook.yaml"),
        *("--tags", ",".join(TAGS), "-e", json.dumps(login)),
    )
    assert done.status == 0, done.output[-5000:]
    assert done.changed() == 0, done.output[-5000:]
