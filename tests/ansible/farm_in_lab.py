"""A farm on the lab's machines for tests: the project's own playbook, run as an operator would run it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.farm_in_a_box import Lab

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE = ROOT / "ansible" / ".venv" / "bin"
# Roles with much to download, which have tests of their own.
HEAVY = ("worker", "models", "gpu", "backup", "health")
_RECAP = re.compile(r"^(?P<machine>\S+)\s+: (?P<counts>ok=.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """What a playbook printed and how it ended."""

    status: int
    output: str

    def count(self, machine: str, what: str) -> int:
        """A figure of the recap: `ok`, `changed`, `unreachable`, `failed` …"""
        for line in _RECAP.finditer(self.output):
            if line["machine"] == machine:
                return int(dict(pair.split("=") for pair in line["counts"].split())[what])
        raise AssertionError(f"{machine} is not in the recap:\n{self.output[-2000:]}")

    def changed(self) -> int:
        return sum(
            int(re.search(r"changed=(\d+)", line["counts"])[1]) for line in _RECAP.finditer(self.output)
        )  # type: ignore[index]

    def said(self) -> str:
        """The output with line breaks and indents folded, so that a sentence can be looked for."""
        return " ".join(self.output.split())


def run_ansible(
    program: str, arguments: list[str], environment: dict[str, str], before: list[str] | None = None
) -> Run:
    """Run a program of Ansible's own environment in the checkout; `before` is what enters the lab."""
    done = subprocess.run(
        [*(before or []), str(ANSIBLE / program), *arguments],
        cwd=ROOT,
        env={**environment, "ANSIBLE_NOCOLOR": "1", "PATH": f"{ANSIBLE}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    return Run(done.returncode, done.stdout + done.stderr)


class LabFarm:
    """A lab, the inventory of its farm, and the farm's secrets. `folder` keeps what belongs to it."""

    def __init__(self, lab: Lab, folder: Path, programs: dict[str, Path], variables: dict[str, Any]) -> None:
        self.lab = lab
        self.folder = folder
        self.programs = programs
        self.secrets = folder / "secrets"
        given = {"farm__secrets": str(self.secrets), "ssh_hardening__authorized_keys": "keep", **variables}
        self.inventory = write_inventory(folder / "inventory", lab, programs, given)

    def play(self, *arguments: str, playbook: str = "playbook.yaml", **variables: Any) -> Run:
        """`ansible-playbook playbook.yaml` in the lab's network; `variables` are given as extra ones."""
        given = ["-e", json.dumps(variables)] if variables else []
        given += ["--skip-tags", ",".join(HEAVY)]
        environment = {**self.lab.environment(), "ANSIBLE_INVENTORY": str(self.inventory)}
        environment["ANSIBLE_CACHE_PLUGIN_CONNECTION"] = str(self.folder / "facts")
        return run_ansible(
            "ansible-playbook", [playbook, *arguments, *given], environment, self.lab.entering([])
        )

    def converge(self, *arguments: str, playbook: str = "playbook.yaml", **variables: Any) -> Run:
        """As `play`, and it must end well."""
        done = self.play(*arguments, playbook=playbook, **variables)
        if done.status != 0:
            raise AssertionError(f"the playbook failed:\n{done.output[-6000:]}")
        return done

    def on(self, machine: str, *command: str) -> subprocess.CompletedProcess[str]:
        return self.lab.run(machine, list(command))

    def curl(self, url: str, *, certificate: bool = True, token: str = "", header: str = "") -> str:
        """The status that a client in the lab's network gets, `000` when TLS already refuses it."""
        words = ["--output", "/dev/null", "--write-out", "%{http_code}"]
        if certificate:
            words += self._certificate(self.secrets / "tls")
        return self._curl(words, url, header, token).stdout.strip()

    def ask(
        self, url: str, header: str, token: str, *more: str, certificate: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """What an API answers to the operator's certificate and `token`; an error status is curl's 22."""
        words = ["--fail", *more, *self._certificate(certificate or self.secrets / "tls")]
        return self._curl(words, url, header, token)

    def json(self, url: str, header: str, token: str) -> Any:
        """The same as data; None when the answer is not a good one."""
        done = self.ask(url, header, token)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def _curl(self, words: list[str], url: str, header: str, token: str) -> subprocess.CompletedProcess[str]:
        """From the lab's network; the token comes by standard input, out of every process list."""
        always = ["curl", "--silent", "--max-time", "20", "--noproxy", "*"]
        always += ["--cacert", str(self.secrets / "tls/ca.pem"), *(["--header", "@-"] if token else [])]
        command = self.lab.entering([*always, *words, url])
        given = f"{header}: {token}\n" if token else ""
        return subprocess.run(command, input=given, capture_output=True, text=True, timeout=60)

    def _certificate(self, folder: Path) -> list[str]:
        return ["--cert", str(folder / "operator.pem"), "--key", str(folder / "operator-key.pem")]

    def secret(self, name: str) -> str:
        return (self.secrets / name).read_text().strip()


def write_inventory(folder: Path, lab: Lab, programs: dict[str, Path], variables: dict[str, Any]) -> Path:
    """The lab's inventory, and beside it the engines to install and `variables` for all."""
    folder.mkdir(parents=True)
    (folder / "10-lab.yaml").symlink_to(lab.places.inventory)
    everything: dict[str, Any] = dict(variables)
    for engine, program in programs.items():
        everything[f"{engine}__source"] = "file"
        everything[f"{engine}__file"] = str(program)
        everything[f"{engine}__file_sha256"] = sha256(program)
    (folder / "20-farm.yaml").write_text(yaml.safe_dump({"all": {"vars": everything}}))
    return folder


def sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
