"""Writes the private folder of one run: its order, an inventory that does not change, a key for this run
alone.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from provisioning_api.certificates.ssh_authority import SshAuthority, key_line
from provisioning_api.runs.child import LIMIT, ORDER
from provisioning_api.runs.process import MARK
from soundstage.private_files import write_anew

_CONNECTIONS = "connections"
# Beside an inventory, Ansible looks for these.
_VARIABLES = ("group_vars", "host_vars")
# A certificate outlives the run that it was made for by this much: clocks differ.
MARGIN_S = 300


@dataclass(frozen=True, slots=True)
class RunTerms:
    """Settings that all runs share."""

    project_dir: Path
    ansible_bin: Path | None
    ssh_user: str
    forks: int
    timeout_s: int


@dataclass(frozen=True, slots=True)
class Order:
    run_id: str
    playbook: str
    tags: tuple[str, ...]
    check: bool
    inventory: Mapping[str, Any]
    limit: tuple[str, ...]
    known_hosts: str


class RunFolders:
    """`state_dir/provisioning/runs/<id>`, readable by their owner only."""

    def __init__(self, root: Path, ssh: SshAuthority, terms: RunTerms) -> None:
        self._root = root
        self._ssh = ssh
        self._terms = terms

    def path(self, run_id: str) -> Path:
        return self._root / run_id

    def write(self, order: Order) -> Path:
        """Everything that the process of the run reads. Nothing of it changes afterwards."""
        folder = self.path(order.run_id)
        self._root.parent.mkdir(parents=True, exist_ok=True)
        for private in (self._root, folder, folder / "inventory", folder / "ssh"):
            private.mkdir(exist_ok=True, mode=0o700)
        self._write_key(folder / "ssh", order.run_id)
        write_anew(folder / "ssh" / "known_hosts", order.known_hosts.encode())
        # Not below this folder: the name of a socket has at most a hundred characters.
        write_anew(folder / _CONNECTIONS, tempfile.mkdtemp(prefix="soundstage-ssh-").encode())
        write_anew(folder / "inventory" / "hosts.json", json.dumps(order.inventory, indent=1).encode(), 0o400)
        # What the operator says of groups and machines; a copy, so that it does not change in the middle.
        for name in _VARIABLES:
            if (source := self._terms.project_dir / "inventory" / name).is_dir():
                shutil.copytree(source, folder / "inventory" / name, copy_function=shutil.copyfile)
        # The machines of this run; a file, since a thousand names do not fit into a command line.
        write_anew(folder / LIMIT, "".join(f"{name}\n" for name in order.limit).encode(), 0o400)
        (folder / "env").mkdir(exist_ok=True, mode=0o700)
        # How often ansible-runner looks whether it was told to stop, in seconds.
        settings = {"pexpect_timeout": 1, "suppress_ansible_output": True}
        write_anew(folder / "env" / "settings", json.dumps(settings).encode(), 0o400)
        write_anew(folder / ORDER, json.dumps(self._order(folder, order), indent=1).encode(), 0o400)
        return folder

    def forget_key(self, run_id: str) -> None:
        """The key of an ended run; its certificate would end by itself soon after. And where its connections
        were.
        """
        with suppress(OSError):
            shutil.rmtree((self.path(run_id) / _CONNECTIONS).read_text(), ignore_errors=True)
        shutil.rmtree(self.path(run_id) / "ssh", ignore_errors=True)

    def rotate(self, retained: set[str]) -> None:
        """Removes the folders of runs that are not `retained`."""
        if not self._root.is_dir():
            return
        for folder in self._root.iterdir():
            if folder.name not in retained:
                shutil.rmtree(folder, ignore_errors=True)

    def _write_key(self, folder: Path, run_id: str) -> None:
        key = Ed25519PrivateKey.generate()
        encoded = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        write_anew(folder / "key", encoded)
        write_anew(folder / "key.pub", f"{key_line(key.public_key())}\n".encode())
        lifetime = timedelta(seconds=self._terms.timeout_s + MARGIN_S)
        serial = secrets.randbits(63) | 1
        # ssh takes the certificate beside the key by itself.
        certificate = self._ssh.user_certificate(
            key.public_key(), serial, f"soundstage {run_id}", self._terms.ssh_user, lifetime
        )
        write_anew(folder / "key-cert.pub", f"{certificate}\n".encode())

    def _order(self, folder: Path, order: Order) -> dict[str, Any]:
        cmdline = ["--check", "--diff"] if order.check else []
        if order.tags:
            cmdline += ["--tags", ",".join(order.tags)]
        return {
            "project_dir": str(self._terms.project_dir),
            "playbook": str(self._terms.project_dir / order.playbook),
            # Flags of ours and tags of a narrow alphabet: nothing here needs quoting.
            "cmdline": " ".join(cmdline),
            "forks": self._terms.forks,
            "timeout_s": self._terms.timeout_s,
            "environment": self._environment(folder, order.run_id),
        }

    def _environment(self, folder: Path, run_id: str) -> dict[str, str]:
        found = {
            MARK: run_id,
            "ANSIBLE_HOME": str(folder / "home"),
            # Its own connections: one that another run left open leads to the machine that had the address
            # then.
            "ANSIBLE_SSH_CONTROL_PATH_DIR": (folder / _CONNECTIONS).read_text(),
            # A machine at its first boot is busy: Ansible's ten seconds are too few for sshd to greet.
            "ANSIBLE_TIMEOUT": "60",
            "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"),
            "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(folder / "facts"),
            "ANSIBLE_HOST_KEY_CHECKING": "True",
            "ANSIBLE_NOCOLOR": "True",
            "ANSIBLE_RETRY_FILES_ENABLED": "False",
            # Our snapshot alone: a project's own ansible.cfg may name its inventory.
            "ANSIBLE_INVENTORY": str(folder / "inventory" / "hosts.json"),
            "ANSIBLE_INVENTORY_ENABLED": "yaml",
        }
        path = os.environ.get("PATH", os.defpath)
        if self._terms.ansible_bin is not None:
            path = f"{self._terms.ansible_bin}{os.pathsep}{path}"
        found["PATH"] = path
        config = self._terms.project_dir / "ansible.cfg"
        if config.is_file():
            found["ANSIBLE_CONFIG"] = str(config)
        return found
