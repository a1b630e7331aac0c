"""A machine of the lab is a whole Debian system under a real systemd."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.farm_in_a_box import Lab
from lab.plan import machines_named
from soundstage.errors import Conflict, Invalid, NotFound

pytestmark = pytest.mark.root
Says = Callable[..., str]


def test_systemd_is_process_1_and_nothing_has_failed(box: Lab, says: Says) -> None:
    state = box.run("control", ["systemctl", "is-system-running", "--wait"]).stdout.strip()
    assert state == "running", says("control", "systemctl", "--failed")
    assert says("control", "cat", "/proc/1/comm") == "systemd"
    assert "trixie" in says("control", "cat", "/etc/os-release")


def test_machines_know_each_other_by_name(says: Says) -> None:
    assert says("control", "hostname") == "control"
    assert "1 received" in says("control", "ping", "-c", "1", "-W", "10", "gpu-1")
    assert says("control", "cat", "/etc/machine-id") != says("gpu-1", "cat", "/etc/machine-id")


def test_host_keys_are_known_before_the_first_boot_and_checked(box: Lab, says: Says, tmp_path: Path) -> None:
    assert "StrictHostKeyChecking yes" in box.paths.ssh_config.read_text()
    wrong = tmp_path / "config"
    known = tmp_path / "known_hosts"
    lines = box.paths.known_hosts.read_text().splitlines()
    # The key of the one under the name of the other.
    known.write_text(lines[0].replace("control,10.77.0.11", "gpu-1,10.77.0.12") + "\n")
    wrong.write_text(box.paths.ssh_config.read_text().replace(str(box.paths.known_hosts), str(known)))
    done = subprocess.run(
        box.entering(["ssh", "-F", str(wrong), "gpu-1", "true"]), capture_output=True, text=True
    )
    assert done.returncode == 255
    assert "verification failed" in done.stderr.lower()


def test_a_reboot_is_a_real_one(box: Lab, says: Says) -> None:
    says("control", "touch", "/root/stays", "/tmp/goes")
    before = says("control", "cat", "/proc/sys/kernel/random/boot_id")
    box.reboot("control")
    assert says("control", "cat", "/proc/sys/kernel/random/boot_id") != before
    assert says("control", "ls", "/root/stays")
    assert box.run("control", ["ls", "/tmp/goes"]).returncode != 0


def test_nothing_leads_out_and_that_is_said_at_once(box: Lab, says: Says) -> None:
    done = box.run("control", ["ping", "-c", "1", "-W", "30", "192.0.2.1"])
    assert done.returncode != 0
    assert "Unreachable" in done.stdout + done.stderr
    # The computer's own loopback is not the machine's.
    assert says("control", "ip", "-brief", "address", "show", "scope", "global").startswith("host0@")


def test_a_machine_cannot_touch_the_clock_or_the_kernel_of_the_computer(box: Lab) -> None:
    for command in (
        ["date", "-s", "@0"],
        ["sysctl", "-w", "kernel.panic=1"],
        ["sh", "-c", "echo b > /proc/sysrq-trigger"],
    ):
        assert box.run("control", command).returncode != 0, command


def test_a_machine_is_limited_in_memory(box: Lab) -> None:
    limit = box.plan.machine("control").memory_mib
    eaten = box.run("control", ["sh", "-c", f"head -c {limit + 200}m /dev/zero | tail | wc -c"])
    assert str((limit + 200) * 2**20) not in eaten.stdout


def test_the_inventories_are_ones_that_ansible_can_use(box: Lab) -> None:
    inside = yaml.safe_load(box.paths.inventory.read_text())["all"]
    assert inside["hosts"]["gpu-1"] == {
        "ansible_host": "10.77.0.12",
        "soundstage_lab_gpus": 2,
        "soundstage_lab_memory_mib": 1024,
    }
    assert Path(inside["vars"]["ansible_ssh_private_key_file"]).stat().st_mode & 0o077 == 0
    outside = yaml.safe_load(box.paths.inventory_from_outside.read_text())["all"]["vars"]
    arguments = outside["ansible_ssh_common_args"]
    done = subprocess.run(
        [
            "sh",
            "-c",
            f"exec ssh {arguments} -i {outside['ansible_ssh_private_key_file']} root@10.77.0.12 hostname",
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout.strip(), done.returncode) == ("gpu-1", 0), done.stderr


def test_a_command_in_the_labs_network_sees_the_machines_and_the_inventory(box: Lab) -> None:
    environment = box.environment()
    assert environment["ANSIBLE_INVENTORY"] == str(box.paths.inventory)
    # The person's own programs come first, then the checkout's Ansible.
    assert environment["PATH"].split(":")[: len(os.environ["PATH"].split(":"))] == os.environ["PATH"].split(
        ":"
    )
    assert box.enter(["ip", "address", "show", "dev", "br0"]) == 0


def test_two_labs_never_meet(box: Lab, labs: Any) -> None:
    other = labs("other", ["control"])
    assert other.plan.machine("control").address == box.plan.machine("control").address
    assert other.run("control", ["ping", "-c", "1", "-W", "1", "10.77.0.12"]).returncode != 0
    other.down()
    assert box.run("control", ["true"]).returncode == 0


def test_a_lab_that_is_up_is_not_made_again(box: Lab) -> None:
    with pytest.raises(Conflict, match="is there already"):
        box.up(machines_named(["a"]))


def test_a_lab_without_machines_or_with_odd_names_is_refused() -> None:
    for names in ([], ["a"] * 101, ["über"], ["-a"], ["a b"], ["$(id)"], ["x" * 64]):
        with pytest.raises(Invalid):
            machines_named(names)
    with pytest.raises(Invalid, match="cannot be the name of a lab"):
        Lab("../etc")


def test_a_machine_that_there_is_not_is_said_to_be_so(box: Lab) -> None:
    with pytest.raises(NotFound, match="has no machine “gpu-9”"):
        box.reboot("gpu-9")
    with pytest.raises(NotFound, match="There is no lab"):
        Lab("never-made").status()
