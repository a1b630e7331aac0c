"""A farm in a lab whose only inventory is the provisioning API, and what its operator keeps beside it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from farm_in_lab import ANSIBLE, ROOT, Run, of_engines, run_ansible
from provisioning_in_lab import KEY, ProvisioningInLab, provisioning_in

from lab.farm_in_a_box import Lab

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
        if "url" in source:
            token_file = self.folder / "inventory.key"
            token_file.write_text(KEY)
            source = {"token_file": str(token_file), **source}
        config.write_text(json.dumps({"plugin": "soundstage.farm.machines", **source}))
        environment = {**self.lab.environment(), "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder / "cp")}
        return run_ansible(program, ["-i", str(config), *arguments], environment, self.lab.entering([]))

    def groups(self, source: dict[str, Any]) -> dict[str, list[str]]:
        done = self.ansible("ansible-inventory", source, "--list")
        assert done.status == 0, done.output
        found = json.JSONDecoder().raw_decode(done.output[done.output.index("{") :])[0]
        return {name: found.get(name, {}).get("hosts", []) for name in ("control", "workers", "gpu")}

    def configured(self, *machines: str) -> dict[str, Any]:
        """The end of a run of the playbook on these machines, which must be a good one."""
        run = self.api.ask("POST", "/api/runs", {"machines": list(machines), **SITE})
        ended = self.api.end_of(run["id"])
        assert ended["state"] == "succeeded", (ended, self.api.ask("GET", "/api/failures"))
        return ended


@contextmanager
def farm_by_the_api(
    lab: Lab,
    folder: Path,
    engines: dict[str, Path],
    given: dict[str, Any] | None = None,
    environment: dict[str, str] | None = None,
) -> Iterator[ApiFarm]:
    """The API and the operator's folder; no machine is known yet. `given`: variables of the roles, and
    `environment` more settings of the API."""
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
    variables |= of_engines(engines) | (given or {})
    (variables_folder / "all.yaml").write_text(yaml.safe_dump(variables))
    settings = {
        "SOUNDSTAGE_PROVISIONING__PROJECT_DIR": str(project),
        "SOUNDSTAGE_PROVISIONING__ANSIBLE_BIN": str(ANSIBLE),
        "SOUNDSTAGE_PROVISIONING__PLAYBOOK": "nothing.yaml",
        "SOUNDSTAGE_PROVISIONING__SSH_USER": "root",
        **(environment or {}),
    }
    with provisioning_in(lab, folder, settings) as api:
        yield ApiFarm(lab, folder, api, project)
