"""`soundstage doctor --farm` names what the playbook misses; real Ansible asks this computer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.doctor import farm as farm_checks
from app.doctor import host_probe
from app.doctor.inventory import HostFacts, Inventory, ansible_program
from soundstage.health import Check

Cli = Callable[..., Any]

pytestmark = pytest.mark.skipif(ansible_program("ansible") is None, reason="make setup-farm")


def facts(**changes: Any) -> HostFacts:
    """A machine on which nothing is missing."""
    good: dict[str, Any] = {
        "user": "root",
        "root": True,
        "os_id": "debian",
        "os_version": "13",
        "os_name": "Debian GNU/Linux 13 (trixie)",
        "systemd": True,
        "epoch_s": 0.0,
        "free_mib": {"/": 90_000},
        "tcp_ports": [22],
        "udp_ports": [],
        "interfaces": {"eth0": ["10.0.0.5"], "eth1": []},
        "unresolved": [],
        "ours": [],
    }
    return HostFacts(**{**good, **changes})


def inventory(groups: tuple[str, ...] = ("control",), **variables: Any) -> Inventory:
    machines = {"box": {"ansible_host": "10.0.0.5", **variables}}
    return Inventory(Path("farm"), machines, {group: ["box"] for group in groups})


def complaints(found: list[Check]) -> dict[str, str]:
    """Codes of what is not green, with their levels. Each has a sentence and a hint."""
    wrong = [check for check in found if check.level != "green"]
    assert all(check.code and check.found and check.fix for check in wrong)
    return {check.code: str(check.level) for check in wrong}


def host_complaints(found: HostFacts | str, where: Inventory) -> dict[str, str]:
    return complaints(farm_checks._host("box", found, where))


@pytest.mark.parametrize(
    ("changes", "code", "level"),
    [
        ({"root": False}, "host.no_root", "red"),
        ({"os_version": "11"}, "host.unsupported_system", "red"),
        ({"systemd": False}, "host.no_systemd", "red"),
        ({"free_mib": {"/": 90_000, "/var": 300}}, "host.disk_full", "red"),
        ({"free_mib": {"/": 4_000}}, "host.little_space", "amber"),
        ({"clock_off_s": -3600.0}, "host.clock_off", "red"),
        ({"unresolved": ["deb.debian.org"]}, "host.no_dns", "red"),
        ({"tcp_ports": [4646]}, "host.port_taken", "red"),
    ],
)
def test_each_fault_of_a_machine_has_a_code_and_a_hint(
    changes: dict[str, Any], code: str, level: str
) -> None:
    assert host_complaints(facts(**changes), inventory()) == {code: level}


def test_a_machine_that_is_fit_is_one_green_line() -> None:
    (check,) = farm_checks._host("box", facts(), inventory())
    assert (check.level, check.name) == ("green", "box")


def test_ports_of_a_part_that_is_there_are_its_own() -> None:
    where = inventory(("control", "provisioning"))
    assert host_complaints(facts(tcp_ports=[8001]), where) == {"host.port_taken": "red"}
    assert host_complaints(facts(tcp_ports=[8001], ours=["provisioning"]), where) == {}
    assert host_complaints(facts(tcp_ports=[8001]), inventory()) == {}


def test_the_boot_interface_must_be_there_with_the_address() -> None:
    groups = ("control", "provisioning")
    assert host_complaints(facts(), inventory(groups, pxe_server__interface="eth0")) == {}
    missing = host_complaints(facts(), inventory(groups, pxe_server__interface="eno1"))
    elsewhere = host_complaints(facts(), inventory(groups, pxe_server__interface="eth1"))
    second = host_complaints(facts(udp_ports=[67]), inventory(groups, pxe_server__interface="eth0"))
    assert [*missing, *elsewhere, *second] == ["host.no_interface", "host.other_address", "host.dhcp_server"]
    assert complaints(farm_checks._boot(inventory(groups))) == {"boot_network.off": "amber"}


def test_the_first_image_needs_go_on_the_controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    where = inventory(("control", "provisioning"), pxe_server__interface="eth0")
    assert complaints(farm_checks._boot(where)) == {"boot_network.no_go": "amber"}
    where.machines["box"]["provisioning_api__image"] = ""
    assert farm_checks._boot(where) == []
    del where.machines["box"]["provisioning_api__image"]
    program = tmp_path / "go"
    program.touch(mode=0o755)
    assert farm_checks._boot(where) == []


def test_weights_and_keys_that_are_missing_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weight = {"path": "llm/small.gguf", "sha256": "0" * 64, "source": "https://example.org", "licence": "MIT"}
    secrets = tmp_path / "secrets"
    where = inventory(
        models__from=str(tmp_path),
        models__manifest=[weight],
        farm__secrets=str(secrets),
        backup__repository="s3:https://s3.example.org/b",
    )
    no_server = {"weights.no_llama_server": "amber"}
    assert complaints(farm_checks._weights(where)) == {"weights.missing": "red", **no_server}
    (tmp_path / "llm").mkdir()
    (tmp_path / "llm/small.gguf").touch()
    assert complaints(farm_checks._weights(where)) == no_server
    elsewhere = inventory(models__from=str(tmp_path), models__manifest=[weight], models__llama_server="")
    assert complaints(farm_checks._weights(elsewhere)) == {}
    (tmp_path / "llama.cpp").mkdir()
    (tmp_path / "llama.cpp/llama-server").touch()
    assert complaints(farm_checks._weights(where)) == {}
    assert complaints(farm_checks._keys(where)) == {"backup.no_key": "red"}
    (secrets / "backup").mkdir(parents=True)
    (secrets / "backup/s3.secret").touch()
    secrets.chmod(0o755)
    assert complaints(farm_checks._keys(where)) == {"secrets.readable": "red"}
    secrets.chmod(0o700)
    assert complaints(farm_checks._keys(where)) == {}
    # From the first run on the farm has certificates, which end.
    (secrets / "tls").mkdir()
    monkeypatch.setattr(farm_checks, "RENEWAL_TIMER", tmp_path / "renewal.timer")
    assert complaints(farm_checks._keys(where)) == {"farm.no_renewal_timer": "amber"}
    (tmp_path / "renewal.timer").touch()
    assert complaints(farm_checks._keys(where)) == {}
    alone = inventory(farm__secrets=str(secrets))
    assert complaints(farm_checks._keys(alone)) == {"farm.backup_not_elsewhere": "amber"}


def test_a_studio_whose_name_leads_elsewhere_is_amber() -> None:
    where = inventory(("control", "agent"), agent__tls_names=["nowhere.invalid"])
    assert complaints(farm_checks._url(where)) == {"farm.name_elsewhere": "amber"}


def test_ansible_asks_this_computer_and_names_a_machine_that_does_not_answer(cli: Cli, home: Path) -> None:
    hosts = {
        "box": {"ansible_host": "127.0.0.1", "ansible_connection": "local"},
        "gone": {"ansible_host": "127.0.0.1", "ansible_port": 1},
    }
    groups = {"control": {"hosts": hosts}}
    (home / "hosts.yaml").write_text(yaml.safe_dump({"all": {"children": groups}}))
    ran = cli("doctor", "--farm", "hosts.yaml", "--json")
    found = {check["name"]: check for check in ran.json["checks"]}
    assert ran.code == 1 and ran.json["ok"] is False
    assert found["gone SSH"]["code"] == "host.unreachable" and "port 1" in found["gone SSH"]["found"]
    assert "box SSH" not in found and any(name.startswith("box") for name in found)


def test_without_an_inventory_it_names_the_command_that_writes_one(cli: Cli, home: Path) -> None:
    ran = cli("doctor", "--farm", "nowhere", "--json")
    assert [(check["code"], check["fix"]) for check in ran.json["checks"]] == [
        ("farm.no_inventory", "soundstage init")
    ]
    (home / "hosts.yaml").write_text("all: {hosts: {box: {}}}")
    assert cli("doctor", "--farm", "hosts.yaml", "--json").json["checks"][0]["code"] == (
        "farm.no_control_machine"
    )


def test_the_probe_runs_alone_and_prints_what_the_doctor_reads() -> None:
    done = subprocess.run(
        [sys.executable, "-I", host_probe.__file__, "nowhere.invalid"],
        capture_output=True,
        check=True,
    )
    found = HostFacts.model_validate(json.loads(done.stdout))
    assert found.unresolved == ["nowhere.invalid"] and found.free_mib and "lo" in found.interfaces


@pytest.mark.parametrize(
    ("studios", "control", "shared", "expected"),
    [
        (1, 1, False, {}),
        (2, 3, True, {}),
        (2, 3, False, {"farm.state_not_shared": "red"}),
        (2, 2, True, {"farm.no_quorum": "amber"}),
        (2, 1, True, {"farm.not_control": "red", "farm.no_quorum": "amber"}),
    ],
)
def test_several_control_machines_need_shared_state_and_a_quorum(
    studios: int, control: int, shared: bool, expected: dict[str, str]
) -> None:
    names = ["one", "two", "three"]
    own = {"agent__database_url": "postgresql://db", "agent__blobs_url": "s3://soundstage"} if shared else {}
    groups = {"control": names[:control], "agent": names[:studios]}
    where = Inventory(Path("farm"), {name: {"ansible_host": "10.0.0.5", **own} for name in names}, groups)
    assert complaints(list(farm_checks._control_plane(where))) == expected


def test_groups_of_database_and_storage_share_the_state() -> None:
    machines = {name: {"ansible_host": "10.0.0.5"} for name in ("one", "two", "three")}
    groups = {
        "control": list(machines),
        "agent": ["one", "two"],
        "database": ["two", "three"],
        "storage": ["one", "three"],
    }
    (check,) = farm_checks._control_plane(Inventory(Path("farm"), machines, groups))
    assert check.level == "green" and "one, two run the studio" in check.found
    alone = Inventory(Path("farm"), machines, {**groups, "database": ["three"], "storage": ["three"]})
    (check,) = farm_checks._control_plane(alone)
    assert (check.code, check.level) == ("farm.one_copy", "amber")
    assert "three (group `database`) and three (group `storage`)" in check.found
