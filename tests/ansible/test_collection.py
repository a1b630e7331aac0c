"""The collection `soundstage.farm` is built and installed without a network; roles run by full name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml
from farm_in_lab import ROOT

PYTHON = "ansible_python_interpreter=/usr/bin/python3"


def test_the_collection_is_built_installed_and_runs(tmp_path: Path, ansible_environment: Path) -> None:
    subprocess.run([sys.executable, ROOT / "scripts/build_collection.py", tmp_path], check=True)
    (archive,) = tmp_path.glob("soundstage-farm-*.tar.gz")
    (tmp_path / "ansible.cfg").write_text("[defaults]\n")
    # Neither the checkout's configuration nor its collections.
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections"),
        "ANSIBLE_ROLES_PATH": str(tmp_path / "none"),
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
    }

    def run(program: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
        command = [ansible_environment / program, *words]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)

    done = run("ansible-galaxy", "collection", "install", "--offline", archive)
    assert done.returncode == 0, done.stderr
    roles = sorted(path.name for path in (ROOT / "ansible/roles").iterdir() if (path / "tasks").is_dir())
    every = [{"role": f"soundstage.farm.{role}"} for role in roles]
    (tmp_path / "all.yaml").write_text(yaml.safe_dump([{"hosts": "all", "roles": every}]))
    done = run("ansible-playbook", "-i", "box,", "--syntax-check", "all.yaml")
    assert done.returncode == 0 and len(roles) > 15, done.stderr

    names = {"ansible.builtin.import_role": {"name": "soundstage.farm.farm", "tasks_from": "names.yml"}}
    facts = {"soundstage.farm.machine_facts": {}}
    play = {"hosts": "all", "gather_facts": False, "tasks": [names, facts]}
    (tmp_path / "one.yaml").write_text(yaml.safe_dump([play]))
    done = run("ansible-playbook", "-i", "box,", "-c", "local", "--check", "-e", PYTHON, "one.yaml")
    assert done.returncode == 0 and "failed=0" in done.stdout, done.stdout + done.stderr
