"""From power-on to a configured member on an emulated computer: real firmware, DHCP, iPXE, HTTP, Ansible."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from boot_services import BootServices
from qemu_machine import Firmware, QemuMachine, make_empty_disk

from lab.ssh_access import enter_command

INPUTS = ("pxe", "lab", "provisioning_api", "policy", "soundstage/database", "ansible.cfg")
# The provisioning process runs without these rooms, which other programs of `app` import.
OTHERS = ("agent", "studio", "farm", "app/cli", "avatar")
pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(3000),
    pytest.mark.cached(*INPUTS, without=OTHERS),
]
PATIENCE_S = 600.0
# Smaller than the address of the card that boots, and before it on the bus.
OTHER_CARD = "52:54:00:00:00:02"
MakeMachine = Callable[..., QemuMachine]


def accept(power: BootServices, machine: QemuMachine, name: str = "node1") -> None:
    found = power.wait_for(machine, "discovered")
    power.accept(found, name)


def until_on_console(machine: QemuMachine, text: str, times: int = 1) -> None:
    until(machine, lambda: machine.console.count(text) >= times)


def until(machine: QemuMachine, seen: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not seen():
        assert machine.is_on() and time.monotonic() < deadline, machine.console[-2000:]
        time.sleep(0.1)


def digest(path: Path | None) -> str:
    assert path is not None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def looks_at_its_disk(power: BootServices, machine: QemuMachine) -> None:
    """It asks for its script once more, and is sent to its disk; nothing writes there."""
    request = power.script_requests
    until(machine, lambda: power.script_requests > request)
    reads, _ = machine.disk_operations()
    until(machine, lambda: machine.disk_operations()[0] > reads)
    assert machine.disk_operations()[1] == 0


def comes_up(power: BootServices, machine: QemuMachine) -> None:
    machine.power_on()
    accept(power, machine)
    found = power.wait_for(machine, "ready")
    assert found["name"] == "node1"
    assert found["host_key_from"] == "enrolment"
    assert "PLAN: image" in machine.console
    spans = {one["name"] for one in power.call("GET", "/api/machines/node1/timeline")["spans"]}
    assert {"stream the image", "grow and enrol", "Leave a mark, as root"} <= spans
    # Commands go over SSH with the host certificate that the machine got for a key it made itself.
    output = power.call("POST", "/api/machines/node1/commands", {"argv": ["df", "-h"]}, timeout_s=120)
    assert output["exit_code"] == 0, output
    assert re.search(r"\s(1\.9|2\.0)G\s", output["output"]), "the root has not grown to half of the disk"


def test_an_empty_computer_becomes_a_configured_member_by_bios_and_is_never_written_again(
    power: BootServices, computer: MakeMachine
) -> None:
    machine = computer(data=os.urandom(1 << 20))
    comes_up(power, machine)
    machine.power_off()
    # It is ready, and has another disk now: whoever would write would write over somebody's data.
    disk = make_empty_disk(machine.folder / "data.raw", 4)
    with disk.open("r+b") as file:
        file.write(os.urandom(32 << 20))
    machine = QemuMachine(power.lab, machine.plan, disk)
    before = digest(disk)
    machine.power_on()
    looks_at_its_disk(power, machine)
    machine.press_reset()
    looks_at_its_disk(power, machine)
    assert power.call("GET", "/api/machines/node1")["state"] == "ready"
    machine.power_off()
    assert digest(disk) == before


@pytest.mark.slow
def test_an_empty_computer_becomes_a_configured_member_by_uefi_http_boot(
    power: BootServices, computer: MakeMachine
) -> None:
    comes_up(power, computer(Firmware.UEFI))


@pytest.mark.smoke
def test_the_disk_of_an_unknown_computer_is_not_touched_however_often_it_boots_and_in_1970_too(
    power: BootServices, computer: MakeMachine
) -> None:
    machine = computer(data=os.urandom(32 << 20), clock="1970-01-01T00:00:10")
    before = digest(machine.disk)
    machine.power_on()
    power.wait_for(machine, "discovered")
    until_on_console(machine, "is discovered")
    known = power.call("GET", "/api/machines")[0]
    machine.press_reset()
    # It has nowhere to keep a key, and makes another one: the first stays the one that counts.
    until_on_console(machine, "is known with another key than this one")
    machine.power_off()
    (found,) = power.call("GET", "/api/machines")
    assert (found["state"], found["code"]) == ("discovered", known["code"])
    assert len(found["conflicts"]) == 1, "a person sees the other, and decides"
    assert digest(machine.disk) == before


@pytest.mark.slow
def test_a_computer_with_two_network_cards_is_one_machine_and_goes_on_over_the_one_that_booted(
    power: BootServices, computer: MakeMachine
) -> None:
    one = computer()
    machine = QemuMachine(power.lab, replace(one.plan, other_macs=(OTHER_CARD,)), one.disk)
    comes_up(power, machine)
    (known,) = power.call("GET", "/api/machines")
    assert set(known["macs"]) == {machine.plan.mac, OTHER_CARD}
    for mac in known["macs"]:
        assert "boots from its disk" in power.call("GET", f"/boot/{mac.replace(':', '-')}.ipxe")


@pytest.mark.slow
def test_a_computer_that_loses_power_while_it_is_written_is_not_written_again(
    power: BootServices, computer: MakeMachine
) -> None:
    machine = computer()
    machine.power_on()
    accept(power, machine)
    until_on_console(machine, "soundstage:  30 %")
    machine.power_off()
    before = digest(machine.disk)
    power.call("GET", "/api/health")
    machine.power_on()
    request = power.dhcp_log.count("DHCPACK")
    deadline = time.monotonic() + PATIENCE_S
    # It asks for its script, is sent to its disk, and finds nothing there that boots.
    while power.dhcp_log.count("DHCPACK") <= request:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    time.sleep(10)
    machine.power_off()
    assert digest(machine.disk) == before
    with machine.disk.open("rb") as file:  # type: ignore[union-attr]
        assert file.read(4 << 20) == bytes(4 << 20), "a half-written disk has something that boots"


@pytest.mark.slow
def test_a_disk_that_is_too_small_is_named_and_not_touched_and_wiped_when_its_machine_retires(
    power: BootServices, computer: MakeMachine
) -> None:
    machine = computer(gib=0.125, data=os.urandom(1 << 20))
    before = digest(machine.disk)
    fails(power, machine, "disk_too_small", "larger disk")
    assert digest(machine.disk) == before
    power.call("POST", "/api/machines/node1/retire", {"confirm": "node1"})
    deadline = time.monotonic() + PATIENCE_S
    while machine.is_on():
        assert time.monotonic() < deadline, machine.console[-2000:]
        time.sleep(0.2)
    assert power.call("GET", "/api/machines/node1")["state"] == "retired"
    assert machine.disk is not None
    assert machine.disk.read_bytes() == bytes(machine.disk.stat().st_size)


@pytest.mark.slow
def test_a_second_disk_with_an_older_system_of_ours_is_named_and_no_disk_is_touched(
    power: BootServices, computer: MakeMachine, tmp_path: Path
) -> None:
    one = computer(data=os.urandom(1 << 20))
    # Larger, so that the other one would be chosen.
    older = make_empty_disk(tmp_path / "older.raw", 8)
    table = "label: gpt\nstart=2048, size=4096, name=root-a\n"
    subprocess.run(["/usr/sbin/sfdisk", "--quiet", older], input=table, text=True, check=True)
    drive = ("-blockdev", f"driver=file,node-name=older,filename={older}")
    more = (*drive, "-device", "virtio-blk-pci,drive=older,serial=older")
    machine = QemuMachine(power.lab, replace(one.plan, more_options=more), one.disk)
    before = digest(one.disk), digest(older)
    fails(power, machine, "other_system", "take that disk out")
    assert (digest(one.disk), digest(older)) == before


@pytest.mark.slow
def test_a_disk_that_dies_while_it_is_written_is_named(power: BootServices, computer: MakeMachine) -> None:
    # Every write that reaches over the byte 128 MiB (blkdebug compares this one sector) fails.
    fault = '[inject-error]\nevent = "write_aio"\nerrno = "5"\nonce = "off"\nsector = "262144"\n'
    fails(power, computer(fault=fault), "disk_failed", "Replace the disk")


@pytest.mark.slow
def test_a_swapped_piece_is_named_and_the_machine_takes_a_new_yes(
    power: BootServices, computer: MakeMachine
) -> None:
    image = next(power.artefacts.glob("*.image"))
    whole = image.read_bytes()
    image.write_bytes(whole[: len(whole) // 2] + b"somebody else's" + whole[len(whole) // 2 + 15 :])
    machine = computer()
    fails(power, machine, "bad_chunk", "artefacts")
    image.write_bytes(whole)
    power.accept(power.call("GET", "/api/machines/node1"), "node1")
    assert power.wait_for(machine, "ready")["name"] == "node1"


@pytest.mark.slow
def test_a_manifest_that_others_signed_is_named_and_nothing_is_written(
    power: BootServices, computer: MakeMachine
) -> None:
    machine = computer(data=os.urandom(1 << 20))
    before = digest(machine.disk)
    machine.power_on()
    found = power.wait_for(machine, "discovered")
    manifest = power.artefacts / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"version"', ' "version"', 1))
    power.accept(found, "node1")
    until_on_console(machine, "FAILED")
    machine.power_off()
    assert digest(machine.disk) == before


def fails(power: BootServices, machine: QemuMachine, code: str, hint: str) -> None:
    machine.power_on()
    accept(power, machine)
    deadline = time.monotonic() + PATIENCE_S
    while (found := power.machine(machine.plan.mac)) is None or found["state"] != "failed":
        assert machine.is_on() and time.monotonic() < deadline, machine.console[-2000:]
        time.sleep(0.2)
    assert found["cause"].startswith(f"{code}:"), found
    assert hint in found["hint"]


def test_nothing_of_a_lab_leads_out_of_it(power: BootServices) -> None:
    done = subprocess.run(
        [*enter_command(power.lab), "ip", "route", "get", "192.0.2.1"], capture_output=True, text=True
    )
    assert done.returncode != 0, done.stdout
