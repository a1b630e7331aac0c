"""The shipped inventory logs in with the farm's key, and before there is one with a person's own."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CONNECTION = ROOT / "inventory/group_vars/all/connection.yaml"

pytestmark = pytest.mark.skipif(shutil.which("ssh") is None, reason="needs ssh: make setup-farm installs it")


def test_a_newcomers_own_keys_are_tried_after_the_farms(tmp_path: Path) -> None:
    variables = yaml.safe_load(CONNECTION.read_text(encoding="utf-8"))
    arguments = variables["ansible_ssh_common_args"].replace("{{ farm__secrets }}", str(tmp_path))
    if key := variables.get("ansible_ssh_private_key_file"):
        # As Ansible's ssh connection plugin passes it on.
        arguments += f' -o IdentityFile="{key.replace("{{ farm__secrets }}", str(tmp_path))}"'
    # ssh itself says what it would do, without connecting.
    found = subprocess.run(
        ["ssh", "-F", "none", "-G", *shlex.split(arguments), "192.0.2.11"],
        capture_output=True,
        text=True,
        check=True,
    )
    identities = [
        line.split(maxsplit=1)[1] for line in found.stdout.splitlines() if line.startswith("identityfile ")
    ]
    assert identities[0] == f"{tmp_path}/ssh/ansible"
    assert {"~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"} <= set(identities)
