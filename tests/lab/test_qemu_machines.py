"""Whole computers in a lab: switched on, reset and off, and gone with their lab."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
from qemu_machine import Firmware, QemuMachine, QemuPlan, make_empty_disk, why_no_qemu

from lab.farm_in_a_box import Lab
from soundstage.errors import Unavailable

pytestmark = pytest.mark.root
MAC = "52:54:00:5a:00:0f"


@pytest.fixture(scope="module")
def network(lab_names: Callable[[str], Lab]) -> Lab:
    """A lab without machines: its network alone."""
    if (missing := why_no_qemu()) is not None:
        pytest.skip(missing)
    lab = lab_names("qemu")
    lab.up(())
    return lab


def test_a_computer_is_switched_on_answers_its_monitor_and_is_off_when_its_cable_is_pulled(
    network: Lab, tmp_path: Path
) -> None:
    machine = QemuMachine(network.paths, QemuPlan("box", MAC), make_empty_disk(tmp_path / "disk.raw", 1))
    assert not machine.is_on()
    machine.power_on()
    assert machine.is_on()
    assert machine.monitor("query-status")["running"] is True
    machine.press_reset()
    links = subprocess.run(
        ["ip", "-n", network.paths.network, "-br", "link"], capture_output=True, text=True, check=True
    )
    assert sum(line.startswith("sl") for line in links.stdout.splitlines()) == 1
    machine.power_off()
    assert not machine.is_on()
    # Its cable is there already.
    machine.power_on()
    machine.power_off()


def test_a_computer_that_is_off_does_not_answer_its_monitor(network: Lab, tmp_path: Path) -> None:
    machine = QemuMachine(network.paths, QemuPlan("gone", MAC), None)
    machine.folder.mkdir(parents=True)
    with pytest.raises(Unavailable, match="QEMU does not answer"):
        machine.monitor("query-status")
    with socket.socket(socket.AF_UNIX) as ends:
        ends.bind(str(machine.folder / "qmp"))
        ends.listen()
        dying = Thread(target=lambda: ends.accept()[0].close())
        dying.start()
        with pytest.raises(Unavailable, match="QEMU does not answer"):
            machine.monitor("query-status")
        dying.join()


def test_what_qemu_refuses_is_said(network: Lab) -> None:
    machine = QemuMachine(network.paths, QemuPlan("odd", MAC, more_options=("-no-such-option",)), None)
    with pytest.raises(Unavailable, match="no-such-option"):
        machine.power_on()


def test_a_computer_ends_with_its_lab(lab_names: Callable[[str], Lab], network: Lab) -> None:
    lab = lab_names("qemu-short")
    lab.up(())
    machine = QemuMachine(lab.paths, QemuPlan("box", MAC, Firmware.UEFI), None)
    machine.power_on()
    assert machine.is_on()
    lab.down()
    deadline = time.monotonic() + 60
    while machine.is_on():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not lab.paths.folder.exists()
