"""Reads an operator's Ansible inventory and copies its shape: names, groups and cards, none of its
addresses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.cards.catalogue import DEFAULT_KIND, Card, cards_of_kinds
from lab.plan import MachinePlan, machines_named
from lab.programs import run_program
from soundstage.errors import Invalid, NotFound

_SERVER_GROUPS = ("control", "servers", "nomad_servers")
_GPU_GROUPS = ("gpu", "gpus", "gpu_nodes")
_EXPECTED_CARDS = "gpu__expected_cards"
_OWN_ANSIBLE = Path(__file__).parents[2] / "ansible" / ".venv" / "bin" / "ansible-inventory"
# Two cores carry this many with Nomad and Consul; a drill learns nothing more from fifty equal machines.
MAX_CLIENTS = 6


@dataclass(frozen=True, slots=True)
class FarmCopy:
    """Machines for the lab, the server first. `left_out`: names of clients beyond `MAX_CLIENTS`."""

    machines: tuple[MachinePlan, ...]
    left_out: tuple[str, ...] = ()


def smallest_farm() -> FarmCopy:
    """Returns what is drilled without an inventory: one server, two clients with a card each."""
    card = [cards_of_kinds(2, [DEFAULT_KIND]), cards_of_kinds(3, ["rtx-2080-super"])]
    return FarmCopy(machines_named(["control", "gpu-1", "gpu-2"], [(), *card]))


def copy_farm(inventory: Path) -> FarmCopy:
    """From any inventory that Ansible reads; without Ansible, from a YAML file. Invalid when it has no two
    machines."""
    if not inventory.exists():
        raise NotFound(
            "lab.no_inventory",
            f"There is no inventory {inventory}.",
            "`--inventory inventory/`, for example.",
        )
    hosts, groups = _read(inventory)
    servers = [host for group in _SERVER_GROUPS for host in groups.get(group, ()) if host in hosts] or list(
        hosts
    )[:1]
    clients = [host for host in hosts if host not in servers]
    if not clients:
        raise Invalid(
            "lab.inventory_too_small",
            f"{inventory} has no machine besides the servers, and a drill needs one that may fail.",
            f"Servers are those in a group called {', '.join(_SERVER_GROUPS)}; else the first host.",
        )
    taken = clients[:MAX_CLIENTS]
    with_cards = {host for group in _GPU_GROUPS for host in groups.get(group, ())}
    cards: list[tuple[Card, ...]] = [()]
    for number, host in enumerate(taken, 2):
        expected = hosts[host].get(_EXPECTED_CARDS, -1)
        count = expected if isinstance(expected, int) and expected >= 0 else int(host in with_cards)
        cards.append(cards_of_kinds(number, [DEFAULT_KIND] * min(count, 8)))
    return FarmCopy(machines_named([servers[0], *taken], cards), tuple(clients[MAX_CLIENTS:]))


def _read(inventory: Path) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
    """{host: variables} in the inventory's order, {group: hosts, also those of its children}."""
    program = shutil.which("ansible-inventory") or (str(_OWN_ANSIBLE) if _OWN_ANSIBLE.exists() else None)
    if program is None:
        return _read_yaml(inventory)
    # The operator's ansible.cfg holds: it names where the plugins are by which an inventory may be read.
    listed = json.loads(
        run_program([program, "--list", "--inventory", inventory], doing="Reading the inventory")
    )
    variables = listed.get("_meta", {}).get("hostvars", {})
    groups = {name: _members(listed, name, frozenset()) for name in listed if name != "_meta"}
    return {host: variables.get(host, {}) for host in groups.get("all", [])}, groups


def _members(listed: dict[str, Any], group: str, above: frozenset[str]) -> list[str]:
    if group in above:
        return []
    entry = listed.get(group, {})
    found = list(entry.get("hosts", []))
    for child in entry.get("children", []):
        found += [host for host in _members(listed, child, above | {group}) if host not in found]
    return found


def _read_yaml(inventory: Path) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
    files: Sequence[Path] = [inventory] if inventory.is_file() else sorted(inventory.glob("*.y*ml"))
    hosts: dict[str, dict[str, Any]] = {}
    groups: dict[str, list[str]] = {}

    def walk(name: str, entry: Any) -> list[str]:
        entry = entry or {}
        found = []
        for host, variables in (entry.get("hosts") or {}).items():
            hosts.setdefault(host, {}).update(variables or {})
            found.append(host)
        for child, inside in (entry.get("children") or {}).items():
            found += [host for host in walk(child, inside) if host not in found]
        members = groups.setdefault(name, [])
        members.extend(host for host in found if host not in members)
        return found

    for path in files:
        try:
            document = yaml.safe_load(path.read_text())
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise Invalid(
                "lab.inventory_unreadable", f"{path} is not YAML: {error}", "Other forms need Ansible."
            ) from None
        if not isinstance(document, dict):
            raise Invalid("lab.inventory_unreadable", f"{path} is no inventory.", "Other forms need Ansible.")
        for name, entry in document.items():
            walk(str(name), entry)
    return hosts, groups
