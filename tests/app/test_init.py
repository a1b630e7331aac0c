"""`soundstage init` asks five questions, and Ansible reads what it writes."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.doctor.inventory import ansible_program
from app.farm_setup import FarmAnswers
from app.farm_setup.answers import BootNetwork, read_boot
from app.farm_setup.inventory_files import PROJECT
from soundstage.errors import Invalid

Cli = Callable[..., Any]
ANSWERS = ("--address", "10.0.0.5", "--boot", "10.0.0.0/24 eth0")


def read_variables(folder: Path) -> dict[str, Any]:
    """Returns the control machine's variables and groups, as Ansible reads them."""
    program = ansible_program("ansible-inventory")
    if program is None:
        pytest.skip("make setup-farm")
    done = subprocess.run(
        [program, "-i", folder / "inventory", "--list"], cwd=PROJECT, capture_output=True, check=True
    )
    assert b"WARNING" not in done.stderr
    listed = json.loads(done.stdout)
    groups = [name for name, entry in listed.items() if "control-1" in entry.get("hosts", [])]
    return {**listed["_meta"]["hostvars"]["control-1"], "groups": groups}


def test_the_answers_reach_the_roles(cli: Cli, home: Path) -> None:
    ran = cli("init", "farm-a", *ANSWERS, "--name", "north", "--url", "studio.example.org",
              "--backups", "s3:https://s3.example.org/north", "--defaults")  # fmt: skip
    assert ran.code == 0 and "soundstage doctor --farm farm-a" in ran.out
    found = read_variables(home / "farm-a")
    assert set(found["groups"]) == {"control", "agent", "provisioning", "monitoring"}
    assert found["ansible_host"] == "10.0.0.5" and "ansible_connection" not in found
    assert (found["farm__name"], found["backup__repository"]) == ("north", "s3:https://s3.example.org/north")
    assert (found["agent__tls_port"], found["agent__tls_names"]) == (8443, ["studio.example.org"])
    assert (found["pxe_server__interface"], found["pxe_server__mode"]) == ("eth0", "server")
    assert (found["pxe_server__first"], found["pxe_server__last"]) == ("10.0.0.129", "10.0.0.254")
    assert cli("-c", "farm-a/config.toml", "config", "check").code == 0


def test_it_asks_again_until_an_answer_can_be_used(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = io.StringIO("North!\nnorth\n10.0.0.5\n10.1.0.0/24 eth0\nnone\n\n\n")
    monkeypatch.setattr("sys.stdin", typed)
    ran = cli("init", "farm-a")
    assert ran.code == 0, ran.err
    assert typed.read() == ""
    text = (home / "farm-a/inventory/group_vars/all/farm.yaml").read_text()
    assert 'farm__name: "north"' in text and "\npxe_server__interface" not in text


def test_files_that_differ_stay_and_are_shown_unless_forced(cli: Cli, home: Path) -> None:
    cli("init", "farm-a", *ANSWERS, "--defaults")
    hosts = home / "farm-a/inventory/hosts.yaml"
    written = hosts.read_text()
    hosts.write_text(written + "# mine\n")
    (home / "farm-a/config.toml").unlink()
    refused = cli("init", "farm-a", *ANSWERS, "--defaults")
    assert refused.code == 1 and "init.files_exist" in refused.err and "-# mine" in refused.out
    assert "# mine" in hosts.read_text() and not (home / "farm-a/config.toml").exists()
    forced = cli("init", "farm-a", *ANSWERS, "--force", "--json")
    states = {Path(file["path"]).name: file["state"] for file in forced.json["files"]}
    assert (states["hosts.yaml"], states["config.toml"], states["farm.yaml"]) == ("replace", "create", "same")
    assert hosts.read_text() == written


@pytest.mark.parametrize(
    ("question", "answer", "code"),
    [
        ("name", "North farm", "init.bad_name"),
        ("address", "127.0.0.1", "init.bad_address"),
        ("address", "control-1", "init.bad_address"),
        ("boot", "eth0", "init.bad_boot_network"),
        ("boot", "10.0.0.0/31 eth0", "init.bad_boot_network"),
        ("boot", "10.0.9.0/24 eth0", "init.not_in_boot_network"),
        ("url", "http://studio.example.org", "init.bad_url"),
        ("url", "https://studio.example.org:443", "init.bad_port"),
        ("url", "https://studio.example.org:8001", "init.bad_port"),
        ("backups", "somewhere", "init.bad_backups"),
    ],
)
def test_an_answer_that_cannot_be_used_is_named(question: str, answer: str, code: str) -> None:
    good = {
        "name": "north",
        "address": "10.0.0.5",
        "boot": "none",
        "url": "https://10.0.0.5",
        "backups": "/mnt/b",
    }
    with pytest.raises(Invalid) as refused:
        FarmAnswers.read(**{**good, question: answer})
    assert refused.value.code == code and refused.value.hint


@pytest.mark.parametrize("control", ["10.0.0.5", "10.0.0.200"])
def test_machines_get_the_half_of_the_network_without_the_control_machine(control: str) -> None:
    answers = FarmAnswers.read(name="n", address=control, boot="10.0.0.0/24 eth0", url=control, backups="/b")
    assert isinstance(answers.boot, BootNetwork)
    found = answers.boot.address_range(answers.address)
    assert found is not None
    assert not found[0] <= answers.address <= found[1]
    assert all(address in answers.boot.network for address in found) if answers.boot.network else False
    assert read_boot("proxy eth0", answers.address) == BootNetwork("eth0", None)
