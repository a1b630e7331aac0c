"""A farm on the lab's machines for tests: the project's own playbook, run as an operator would run it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.cluster import software
from lab.farm_in_a_box import Lab
from lab.plan import GATEWAY, PROXY_PORT
from pxe.image.debian import PYTHON_OF, SUITE

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE = ROOT / "ansible" / ".venv" / "bin"
CACHE = Path.home() / ".cache" / "soundstage"
GLIBC_OF = {"trixie": 40, "bookworm": 36}
WEIGHTS = b"weights of the lips\n"
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


# Workers that begin connections to their farm alone, and to the packages of the lab.
EGRESS_CLOSED = {
    "common__egress_closed": True,
    "common__egress_to": [{"to": [GATEWAY], "tcp": [PROXY_PORT], "purpose": "packages"}],
}


# A studio on machines without cards.
STUDIO = {"nomad__gpu_plugin": False, "nomad__drivers": ["exec"], "agent__tls_port": 8443}


class LabFarm:
    """A lab, the inventory of its farm, and the farm's secrets. `folder` keeps what belongs to it."""

    def __init__(
        self,
        lab: Lab,
        folder: Path,
        programs: dict[str, Path],
        carried: Carried | None = None,
        groups: dict[str, dict[str, Any]] | None = None,
        variables: dict[str, Any] | None = None,
    ) -> None:
        self.lab = lab
        self.folder = folder
        self.programs = programs
        self.secrets = folder / "secrets"
        # What the lab's machines are stands in the lab's inventory.
        everything: dict[str, Any] = {"farm__secrets": str(self.secrets), "nomad__gpu_plugin": True}
        everything |= {**(carried.variables if carried else {}), **(variables or {})}
        self.inventory = write_inventory(folder / "inventory", lab, programs, everything, groups)

    def play(self, *arguments: str, playbook: str = "playbook.yaml", **variables: Any) -> Run:
        """`ansible-playbook playbook.yaml` in the lab's network; `variables` are given as extra ones."""
        given = ["-e", json.dumps(variables)] if variables else []
        environment = {**self.lab.environment(), "ANSIBLE_INVENTORY": str(self.inventory)}
        environment["ANSIBLE_CACHE_PLUGIN_CONNECTION"] = str(self.folder / "facts")
        return run_ansible(
            "ansible-playbook", [playbook, *arguments, *given], environment, self.lab.entering([])
        )

    def converge(self, *arguments: str, playbook: str = "playbook.yaml", **variables: Any) -> Run:
        """As `play`, and it must end well."""
        done = self.play(*arguments, playbook=playbook, **variables)
        if done.status != 0:
            first = done.output[max(0, done.output.find("fatal: [")) :][:3000]
            raise AssertionError(f"the playbook failed:\n{first}\n…\n{done.output[-6000:]}")
        return done

    def another_build(self, engine: str) -> dict[str, str]:
        """Variables for a build that does the same and has another checksum."""
        other = self.folder / f"{engine}-retagged"
        shutil.copy(self.programs[engine], other)
        with other.open("ab") as program:
            program.write(b"the same, with another checksum")
        return {f"{engine}__file": str(other), f"{engine}__file_sha256": sha256(other)}

    def on(self, machine: str, *command: str) -> subprocess.CompletedProcess[str]:
        return self.lab.run(machine, list(command))

    def at_console(self, machine: str, *command: str) -> subprocess.CompletedProcess[str]:
        return self.lab.run_at_console(machine, list(command))

    def add_to_group(self, machine: str, group: str) -> None:
        """Adds it in the inventory, as an operator does; the next run of the playbook acts on it."""
        added = {"children": {group: {"hosts": {machine: {}}}}}
        (self.inventory / f"30-{group}-{machine}.yaml").write_text(yaml.safe_dump({"all": added}))

    def remove_from_group(self, machine: str, group: str) -> None:
        """Takes back `add_to_group`."""
        (self.inventory / f"30-{group}-{machine}.yaml").unlink()

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

    def takes_work(self, address: str) -> set[str]:
        """Return the machines whose Nomad is ready and eligible; empty before the farm is secured."""
        if not self.secrets.exists():
            return set()
        url = f"https://{address}:4646/v1/nodes"
        nodes = self.json(url, "X-Nomad-Token", self.secret("nomad/management.token")) or []
        well = ("ready", "eligible")
        return {one["Name"] for one in nodes if (one["Status"], one["SchedulingEligibility"]) == well}

    def secret(self, name: str) -> str:
        return (self.secrets / name).read_text().strip()


@dataclass(frozen=True)
class Carried:
    """What the controller brings to the machines beside the engines. `name` tells one state from another."""

    name: str
    variables: dict[str, Any]

    def __or__(self, other: Carried) -> Carried:
        """Returns what both bring."""
        return Carried(f"{self.name} {other.name}", self.variables | other.variables)


def whats_carried(folder: Path, suite: str = SUITE) -> Carried:
    """The worker and the device plugin, packed here because the lab's network has no way to a package index,
    and some weights. `suite`: the Debian of the machines."""
    worker = packed_worker(folder / "avatar", suite)
    plugin = pack_plugin(suite)
    return Carried(
        f"{worker.name} {Path(plugin['nomad__gpu_plugin_archive']).name}",
        {
            **worker.variables,
            **plugin,
            **write_weights(folder / "models"),
        },
    )


def write_weights(models: Path) -> dict[str, Any]:
    """Writes some weights, and returns the variables of the role models."""
    weights = models / "lips" / "tiny.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(WEIGHTS)
    entry = {
        "path": "lips/tiny.safetensors",
        "sha256": hashlib.sha256(WEIGHTS).hexdigest(),
        "source": "https://example.org/lips",
        "licence": "research only",
    }
    return {"models__from": str(models), "models__manifest": [entry]}


def pack_plugin(suite: str = SUITE) -> dict[str, Any]:
    """The device plugin, as a variable of the role nomad."""
    return {"nomad__gpu_plugin_archive": str(software.pack_plugin(PYTHON_OF[suite]))}


def packed_worker(source: Path, suite: str = SUITE) -> Carried:
    """The worker alone. `source`: where a copy of it is put, so that what is packed here is what the playbook
    finds, whatever is edited meanwhile."""
    left_out = shutil.ignore_patterns(".venv*", "__pycache__", ".*_cache")
    shutil.copytree(ROOT / "avatar", source, ignore=left_out)
    cache, uv = CACHE / "worker", found_uv()
    build = [sys.executable, ROOT / "ansible/roles/worker/files/build_worker.py", "--with-wheels"]
    build += ["--source", source, "--cache", cache, "--uv", uv, *packing_options(suite)]
    worker = json.loads(_printed([*build, "--extra=cpu", "--extra=face"]))
    return Carried(
        worker["digest"], {"worker__source": str(source), "worker__cache": str(cache), "worker__uv": uv}
    )


def packing_options(suite: str) -> list[str]:
    """Returns the options of the programs that pack, as the roles give them for machines of that Debian."""
    return ["--python-version", PYTHON_OF[suite], "--platform", f"x86_64-manylinux_2_{GLIBC_OF[suite]}"]


def found_uv() -> str:
    """The one that `scripts/setup` has fetched, or else that of PATH."""
    return str(next(iter(sorted(CACHE.glob("uv-*/bin/uv"), reverse=True)), "uv"))


def _printed(command: Sequence[str | Path]) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout


def write_inventory(
    folder: Path,
    lab: Lab,
    programs: dict[str, Path],
    variables: dict[str, Any],
    groups: dict[str, dict[str, Any]] | None = None,
) -> Path:
    """The lab's inventory, and beside it the engines to install, `variables` for all, and those of groups."""
    folder.mkdir(parents=True)
    (folder / "10-lab.yaml").symlink_to(lab.paths.inventory)
    everything = variables | of_engines(programs)
    wanted = {name: {"vars": given} for name, given in (groups or {}).items()}
    (folder / "20-farm.yaml").write_text(yaml.safe_dump({"all": {"vars": everything}, **wanted}))
    return folder


def of_engines(programs: dict[str, Path]) -> dict[str, Any]:
    """Returns the variables of roles that install these files."""
    variables: dict[str, Any] = {}
    for engine, program in programs.items():
        variables |= {f"{engine}__source": "file", f"{engine}__file": str(program)}
        variables[f"{engine}__file_sha256"] = sha256(program)
    return variables


def sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
