"""The installer way on an emulated computer: our agent starts Debian's installer, which makes a member."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from boot_services import BootServices
from debian_installer import DebianMirror
from qemu_machine import QemuMachine

from lab.plan import GATEWAY
from pxe.image.agent_program import agent_program
from pxe.installer.plan import InstallerSettings
from pxe.installer.ramdisk import installer_artefacts

PATIENCE_S = 1200.0
WHOLE_S = 7200.0


def publish_installer(power: BootServices, debian: Path) -> None:
    """Instead of the image, with the lab's way to a mirror. `debian`: kernel and ramdisk of Debian's own."""
    for path in power.artefacts.glob("*.image*"):
        path.unlink()
    created = installer_artefacts(
        agent_program(),
        InstallerSettings(http_proxy=f"http://{GATEWAY}:3142/", least_disk_bytes=2 << 30),
        ca_pem=power.call("GET", "/api/ca.pem"),
        manifest_key=power.call("GET", "/boot/manifest.pub"),
        built_at=int(time.time()),
        debian=debian,
    )
    for name, content in created.items():
        (power.artefacts / name).write_bytes(content)
    power.call("POST", "/api/artefacts/publish")


@pytest.fixture(scope="module")
def debian() -> Path:
    try:
        return DebianMirror().complete_installer()
    except LookupError as missing:
        pytest.skip(f"{missing}. Run `make test-long` where apt uses a complete mirror of Debian.")


def until_on_console(machine: QemuMachine, *texts: str, patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not any(text in machine.console for text in texts):
        assert machine.is_on() and time.monotonic() < deadline, machine.console[-3000:]
        time.sleep(0.2)


def accepted(power: BootServices, machine: QemuMachine) -> None:
    machine.power_on()
    found = power.wait_for(machine, "discovered")
    power.accept(found, "node1")


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.timeout(3000)
def test_after_the_yes_the_installer_is_started_and_knows_its_answers(
    power: BootServices, computer: Any
) -> None:
    publish_installer(power, DebianMirror().installer())
    machine = computer()
    accepted(power, machine)
    until_on_console(machine, "soundstage: starting the installer")
    # Its first own words need the answers: language and keyboard are not asked for.
    until_on_console(machine, "Loading additional components", "Retrieving", "Detecting network hardware")
    assert power.call("GET", "/api/machines/node1")["state"] == "enrolled"


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.timeout(9000)
def test_the_installer_makes_the_same_member_as_the_image(
    debian: Path, power: BootServices, computer: Any
) -> None:
    publish_installer(power, debian)
    machine = computer(data=os.urandom(1 << 20))
    began = time.monotonic()
    accepted(power, machine)
    found = power.wait_for(machine, "ready", timeout_s=WHOLE_S)
    print(f"power-on to ready by the installer: {(time.monotonic() - began) / 60:.1f} minutes")
    assert (found["name"], found["host_key_from"]) == ("node1", "enrolment")
    output = power.call("POST", "/api/machines/node1/commands", {"argv": ["df", "-h"]}, timeout_s=120)
    assert output["exit_code"] == 0, output
