"""The rules that the role common writes for each machine, rendered from an inventory without machines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from farm_in_lab import ROOT, run_ansible

sys.path.append(str(ROOT / "ansible/collections"))

from ansible_collections.soundstage.farm.plugins.module_utils import ssh_controllers

ROLES = ROOT / "ansible" / "roles"
GROUPS = {
    "control": ["head-1", "head-2"],
    "workers": ["hand-1", "hand-2"],
    "agent": ["head-1"],
    "monitoring": ["head-2"],
    "provisioning": ["head-1"],
    "livekit": ["hand-2"],
}
ADDRESS = {"head-1": "192.0.2.1", "head-2": "192.0.2.2", "hand-1": "192.0.2.11", "hand-2": "fd00::12"}
LAPTOP = "198.51.100.7"


def rules(folder: Path, **variables: Any) -> dict[str, list[str]]:
    """Returns the lines of each machine's file."""
    inventory = folder / "farm.yaml"
    groups = {name: {"hosts": {one: {} for one in members}} for name, members in GROUPS.items()}
    hosts = {name: {"ansible_host": address} for name, address in ADDRESS.items()}
    inventory.write_text(json.dumps({"all": {"hosts": hosts, "children": groups}}))
    write = {
        "ansible.builtin.copy": {
            "content": "{{ lookup('template', role_path ~ '/templates/nftables.conf.j2') }}",
            "dest": f"{folder}/{{{{ inventory_hostname }}}}.conf",
        },
        "delegate_to": "localhost",
        "become": False,
    }
    play = {
        "hosts": "all",
        "gather_facts": False,
        "vars": {"role_path": f"{ROLES}/common"},
        "vars_files": [
            f"{ROLES}/{role}/{kind}/main.yml" for kind in ("defaults", "vars") for role in ("farm", "common")
        ],
        "tasks": [write],
    }
    (folder / "show.yaml").write_text(json.dumps([play]))
    given = {"ansible_facts": {"soundstage_machine": {"controller": LAPTOP, "controllers": [LAPTOP]}}}
    words = ["-i", str(inventory), "-e", json.dumps({**given, **variables}), str(folder / "show.yaml")]
    done = run_ansible("ansible-playbook", words, dict(os.environ))
    assert done.status == 0, done.output
    return {name: (folder / f"{name}.conf").read_text().splitlines() for name in ADDRESS}


def openings(lines: list[str]) -> set[str]:
    """Returns `SOURCE PROTOCOL PORTS` of every rule for ports."""
    found = set()
    for line in lines:
        words = line.split(" accept")[0].replace("{", "").replace("}", "").replace(",", "").split()
        if "dport" in words and "saddr" in words:
            at = words.index("dport")
            found.add(" ".join([words[2].removeprefix("@"), words[at - 1], *words[at + 1 :]]))
        elif "dport" in words:
            found.add(" ".join(["everybody", *words[:1], *words[2:]]))
    return found


@pytest.fixture(scope="module")
def default_rules(
    ansible_environment: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[str]]:
    """Without settings of the operator."""
    return rules(tmp_path_factory.mktemp("rules"))


def test_a_worker_opens_what_others_need_of_it_and_nothing_else(default_rules: dict[str, list[str]]) -> None:
    found = default_rules["hand-1"]
    assert openings(found) == {
        "everybody udp 68 546",
        *("control4 tcp 22", "provisioning4 tcp 22", "ssh4 tcp 22"),
        *(f"farm{version} {protocol} 8301" for version in (4, 6) for protocol in ("tcp", "udp")),
        *("control4 tcp 4646", "monitoring4 tcp 4646"),
        *("control4 tcp 9100", "monitoring4 tcp 9100"),
        "task_clients4 tcp 20000-32000",
    }
    text = "\n".join(found)
    assert f"elements = {{ {LAPTOP} }}" in text
    assert "elements = { 192.0.2.11, 192.0.2.1, 192.0.2.2 }" in text and "elements = { fd00::12 }" in text


def test_raft_and_gossip_of_servers_are_between_servers(default_rules: dict[str, list[str]]) -> None:
    found = openings(default_rules["head-2"])
    assert {one for one in found if one.split()[-1] in ("4648", "8302")} == {
        f"control4 {protocol} {port}" for protocol in ("tcp", "udp") for port in (4648, 8302)
    }
    assert {one for one in found if "4647" in one or "8300" in one} == {
        f"farm{version} tcp {port}" for version in (4, 6) for port in (4647, 8300)
    }
    assert "farm4 tcp 19532" in found and "farm4 tcp 8000" not in found


def test_people_and_the_farm_reach_livekit_on_its_machine_and_prometheus_its_metrics(
    default_rules: dict[str, list[str]],
) -> None:
    found = {one for one in openings(default_rules["hand-2"]) if one.split()[2].startswith(("788", "6789"))}
    reached = {f"{name}{version}" for name in ("farm", "https") for version in (4, 6)}
    assert found == {
        *(f"{source} tcp 7880 7881" for source in reached),
        *(f"{source} udp 7882" for source in reached),
        "monitoring4 tcp 6789",
    }


@pytest.mark.parametrize(("tls_port", "opened"), [(8443, {"https4 tcp 8443", "https6 tcp 8443"}), (0, set())])
def test_people_reach_the_studio_by_https_on_the_machine_of_the_agent(
    tmp_path: Path, ansible_environment: Path, tls_port: int, opened: set[str]
) -> None:
    found = rules(tmp_path, agent__tls_port=tls_port)
    assert {one for one in openings(found["head-1"]) if one.startswith("https")} == opened
    assert not any(one.startswith("https") for one in openings(found["head-2"]))


def test_operators_open_ports_of_their_own_by_group(tmp_path: Path, ansible_environment: Path) -> None:
    own = {"tcp": [5432], "machines": "monitoring", "from": ["workers", "https"], "purpose": "a database"}
    found = rules(tmp_path, common__ports=[own], common__open_ports=[8080])
    expected = {"workers4 tcp 5432", "workers6 tcp 5432", "https4 tcp 5432", "https6 tcp 5432"}
    assert expected <= openings(found["head-2"])
    assert not any("5432" in one for one in openings(found["head-1"]))
    assert all("everybody tcp 8080" in openings(one) for one in found.values())


def test_every_role_that_declares_ports_is_read() -> None:
    declared = {path.parents[1].name for path in ROLES.glob("*/meta/ports.yml")}
    assert declared == set(
        yaml.safe_load((ROLES / "common/vars/main.yml").read_text())["common__roles_with_ports"]
    )


def test_the_address_of_the_controller_is_found_though_sudo_clears_the_environment() -> None:
    code = "import os; from ansible_collections.soundstage.farm.plugins.module_utils import ssh_controllers; "
    code += "print(ssh_controllers.ssh_client(os.getpid()))"
    command = ["sh", "-c", 'env -u SSH_CONNECTION "$@"; true', "sh", sys.executable, "-c", code]
    environment = {**os.environ, "SSH_CONNECTION": "fe80::1%eth0 50000 192.0.2.1 22"}
    environment["PYTHONPATH"] = str(ROOT / "ansible/collections")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "fe80::1"


def test_a_machine_records_the_last_eight_controllers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fact = tmp_path / "soundstage.fact"
    monkeypatch.setattr(ssh_controllers, "FARM_FACT", str(fact))
    known = [f"192.0.2.{number}" for number in range(8)]
    for controller, expected in (
        (LAPTOP, [*known[1:], LAPTOP]),
        (known[0], known),
        ("", known),
    ):
        fact.write_text(json.dumps({"farm": "soundstage", "controllers": known}))
        monkeypatch.setattr(ssh_controllers, "ssh_client", lambda _, address=controller: address)
        assert ssh_controllers.read_controllers() == {"controller": controller, "controllers": expected}
    fact.write_text("no JSON")
    assert ssh_controllers.read_controllers()["controllers"] == []
