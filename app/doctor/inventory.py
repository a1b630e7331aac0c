"""Reads an inventory with Ansible and asks its machines what `host_probe` finds there."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from app.farm_setup.inventory_files import PROJECT
from soundstage.errors import Unavailable
from soundstage.programs import run_program

LIMIT_S = 300
# A result of the callback `minimal`: `control-1 | SUCCESS => {…}`.
_RESULT = re.compile(r"^(\S+) \| [A-Z]+!? => (?=\{)", re.MULTILINE)
_DECODER = json.JSONDecoder()
_FOR_US = {
    "ANSIBLE_BECOME": "false",
    "ANSIBLE_NOCOLOR": "1",
    "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    "ANSIBLE_STDOUT_CALLBACK": "minimal",
}
_PROBE = Path(__file__).with_name("host_probe.py")


@dataclass(frozen=True, slots=True)
class Inventory:
    """Absolute path; machines with their variables, as written; groups with those of their children."""

    path: Path
    machines: dict[str, dict[str, Any]]
    groups: dict[str, list[str]] = field(default_factory=dict)


class HostFacts(BaseModel):
    """Facts of one machine, as `host_probe` prints them, and the difference of the clocks."""

    user: str
    root: bool
    os_id: str
    os_version: str
    os_name: str
    systemd: bool
    epoch_s: float
    free_mib: dict[str, int]
    tcp_ports: list[int]
    udp_ports: list[int]
    interfaces: dict[str, list[str]]
    unresolved: list[str]
    ours: list[str]
    clock_off_s: float = 0.0


def ansible_program(name: str) -> Path | None:
    """Returns a program of Ansible: that of the checkout, else that of PATH."""
    own = PROJECT / "ansible/.venv/bin" / name
    found = str(own) if own.exists() else shutil.which(name)
    return Path(found) if found else None


async def read_inventory(path: Path) -> Inventory:
    """Raises Unavailable with what Ansible says about an inventory that it cannot read."""
    status, output, complaint = await _run("ansible-inventory", "-i", str(path), "--list")
    if status != 0:
        hint = "`soundstage init` writes one; a file of your own: name it behind --farm."
        raise Unavailable(
            "farm.inventory_unreadable", f"Ansible cannot read {path}: {_last(complaint)}", hint
        )
    listed: dict[str, Any] = json.loads(output)
    variables = listed.get("_meta", {}).get("hostvars", {})
    groups = {name: _members(listed, name) for name in listed if name != "_meta"}
    names = [name for name in _members(listed, "all") if name != "localhost"]
    return Inventory(path, {name: variables.get(name, {}) for name in names}, groups)


async def ask_hosts(inventory: Inventory, names: Sequence[str]) -> dict[str, HostFacts | str]:
    """Returns for each machine its facts, or why it gave none. `names` are to be resolved there."""
    began = time.time()
    _, output, complaint = await _run(
        "ansible", "all", "-i", str(inventory.path), "-m", "ansible.builtin.script",
        "-a", " ".join([shlex.quote(str(_PROBE)), *names, "executable=/usr/bin/python3"]), "-T", "10",
    )  # fmt: skip
    ended = time.time()
    answers = {found[1]: _DECODER.raw_decode(output, found.end())[0] for found in _RESULT.finditer(output)}
    silent = {"msg": _last(complaint)}
    return {name: _facts(answers.get(name, silent), began, ended) for name in inventory.machines}


def _facts(answer: dict[str, Any], began: float, ended: float) -> HostFacts | str:
    try:
        found = HostFacts.model_validate_json(answer.get("stdout", ""))
    except ValidationError:
        return _last(str(answer.get("stderr") or answer.get("msg") or answer.get("stdout") or ""))
    # The machine looked at its clock between the two times.
    off_s = found.epoch_s - min(max(found.epoch_s, began), ended)
    return found.model_copy(update={"clock_off_s": off_s})


def _members(listed: dict[str, Any], group: str) -> list[str]:
    entry = listed.get(group, {})
    found = list(entry.get("hosts", []))
    for child in entry.get("children", []):
        found += [host for host in _members(listed, child) if host not in found]
    return found


async def _run(program: str, *words: str) -> tuple[int, str, str]:
    """Raises Unavailable without Ansible, and when it does not end."""
    found = ansible_program(program)
    if found is None:
        hint = "`make setup-farm` installs it in a checkout; or install ansible-core 2.19."
        raise Unavailable("farm.no_ansible", "There is no Ansible on this computer.", hint)
    # Without a terminal nothing asks for a password or a host key: that is a finding.
    try:
        ended = await run_program(found, *words, limit_s=LIMIT_S, env={**os.environ, **_FOR_US}, cwd=PROJECT)
    except TimeoutError as error:
        hint = "Look at the machines with `ansible all -m ping`."
        raise Unavailable("farm.ansible_hangs", f"Ansible did not end within {LIMIT_S} s.", hint) from error
    return ended.code, ended.output.decode(), ended.complaint.decode(errors="replace")


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no answer"
