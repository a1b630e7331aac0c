"""A farm whose only inventory is the provisioning API: accepted machines are configured by the playbook, by
an operator who uses the inventory plugin, and by runs that the API starts itself.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from farm_in_lab import ANSIBLE, ROOT, Run, run_ansible, sha256
from provisioning_in_lab import ProvisioningInLab, provisioning_in

from lab.farm_in_a_box import Lab
from lab.plan import machines_named

pytestmark = [pytest.mark.root, pytest.mark.timeout(2400)]
TAGS = ["common", "ssh", "consul", "nomad"]
SITE = {"playbook": "playbook.yaml", "tags": TAGS}


class ApiFarm:
    """A control machine and a worker that the API knows; `project` is what an operator keeps: the playbook,
    and variables beside it."""

    def __init__(self, lab: Lab, folder: Path, api: ProvisioningInLab, project: Path) -> None:
        self.lab = lab
        self.folder = folder
        self.api = api
        self.project = project

    def ansible(self, program: str, source: dict[str, Any], *arguments: str) -> Run:
        """A program of Ansible in the lab's network, with the inventory plugin's configuration `source`."""
        config = self.project / "inventory" / "machines.yaml"
        config.write_text(json.dumps({"plugin": "soundstage.farm.machines", **source}))
        environment = {**self.lab.environment(), "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder / "cp")}
        return run_ansible(program, ["-i", str(config), *arguments], environment, self.lab.entering([]))

    def groups(self, source: dict[str, Any]) -> dict[str, list[str]]:
        done = self.ansible("ansible-inventory", source, "--list")
        assert done.status == 0, done.output
        found = json.JSONDecoder().raw_decode(done.output[done.output.index("{") :])[0]
        return {name: found.get(name, {}).get("hosts", []) for name in ("control", "workers", "gpu")}


@pytest.fixture(scope="module")
def api_farm(
    lab_names: Callable[[str], Lab], engines: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiFarm]:
    folder = tmp_path_factory.mktemp("api")
    lab = lab_names("api")
    lab.up(machines_named(["head", "hand"]))
    project = folder / "project"
    variables_folder = project / "inventory" / "group_vars"
    variables_folder.mkdir(parents=True)
    shutil.copy(ROOT / "ansible.cfg", project)
    (project / "ansible").symlink_to(ROOT / "ansible")
    (project / "playbook.yaml").write_text("- import_playbook: ansible/playbooks/site.yaml\n")
    # What machines are configured with by themselves when they call: here, nothing yet.
    ping = {"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.ping": {}}]}
    (project / "nothing.yaml").write_text(yaml.safe_dump([ping]))
    variables: dict[str, Any] = {"farm__secrets": str(folder / "secrets"), "nomad__memory_total_mib": 2048}
    for engine, program in engines.items():
        variables |= {f"{engine}__source": "file", f"{engine}__file": str(program)}
        variables[f"{engine}__file_sha256"] = sha256(program)
    (variables_folder / "all.yaml").write_text(yaml.safe_dump(variables))
    environment = {
        "SOUNDSTAGE_PROVISIONING__PROJECT_DIR": str(project),
        "SOUNDSTAGE_PROVISIONING__ANSIBLE_BIN": str(ANSIBLE),
        "SOUNDSTAGE_PROVISIONING__PLAYBOOK": "nothing.yaml",
        "SOUNDSTAGE_PROVISIONING__SSH_USER": "root",
    }
    with provisioning_in(lab, folder, environment) as api:
        api.adopt("head", ["control"])
        api.adopt("hand", [])
        yield ApiFarm(lab, folder, api, project)


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
    run = api_farm.api.ask("POST", "/api/runs", {"machines": ["head", "hand"], **SITE})
    ended = api_farm.api.end_of(run["id"])
    assert ended["state"] == "succeeded", (ended, api_farm.api.ask("GET", "/api/failures"))
    # One machine alone, as a part of its farm. By now the farm's own authorities rule its door, and lists of
    # keys are shut out: the lab's own key does not open it any more.
    assert api_farm.lab.run("hand", ["true"]).returncode != 0
    alone = api_farm.api.ask("POST", "/api/runs", {"machines": ["hand"], **SITE})
    ended = api_farm.api.end_of(alone["id"])
    assert ended["state"] == "succeeded", (ended, api_farm.api.ask("GET", "/api/failures"))
    config = (api_farm.lab.places.machine("hand").root / "etc/consul.d/consul.hcl").read_text()
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
