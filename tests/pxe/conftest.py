"""A lab with a boot network, the real provisioning process and a published image; machines are QEMU's."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "lab_fixture"))

from boot_services import BootServices
from lab_machines import lab_names as lab_names
from qemu_machine import Firmware, QemuMachine, QemuPlan, make_empty_disk, why_no_qemu

from lab.farm_in_a_box import Lab
from pxe.image.build import BuiltImage, build_image
from pxe.image.debian import mirror_of_this_computer
from pxe.image.recipe import Kernel, Recipe

ANSIBLE = Path(__file__).parents[2] / "ansible" / ".venv" / "bin"
PLAYBOOK = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: Leave a mark, as root
      ansible.builtin.copy:
        dest: /etc/was-configured
        content: "{{ inventory_hostname }}"
      become: true
"""


@pytest.fixture(scope="session")
def built_image() -> BuiltImage:
    """The image of virtual machines; made once, and kept outside of the checkout."""
    programs = ("go", "dnsmasq", "nginx", "grub-mkimage", "mcopy", "zstd")
    missing = [one for one in programs if shutil.which(one) is None]
    if os.geteuid() != 0 or missing or why_no_qemu():
        why = f"{', '.join(missing)} missing. " if missing else ""
        pytest.skip(f"Network boot is tried as root: {why}`sudo make test` installs and runs all.")
    return build_image(
        Recipe(kernel=Kernel.CLOUD),
        mirror=mirror_of_this_computer(),
        ssh_user="soundstage",
        name="test",
        say=print,
    )


@pytest.fixture
def power(
    built_image: BuiltImage, lab_names: Callable[[str], Lab], tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[BootServices]:
    """Everything that a machine meets when it is switched on."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "playbook.yaml").write_text(PLAYBOOK)
    lab = lab_names("power")
    lab.down()
    lab.up(())
    power = BootServices(
        lab.paths,
        {
            "SOUNDSTAGE_PROVISIONING__PROJECT_DIR": str(project),
            "SOUNDSTAGE_PROVISIONING__ANSIBLE_BIN": str(ANSIBLE),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(tmp_path / "cp"),
        },
    )
    power.start()
    power.publish(built_image)
    yield power
    lab.down()


MakeMachine = Callable[..., QemuMachine]


@pytest.fixture
def computer(power: BootServices, tmp_path: Path) -> MakeMachine:
    """Computers that are switched off: `computer(firmware, data=b"…")`; their disk has 4 GiB by default."""

    def make(
        firmware: Firmware = Firmware.BIOS,
        *,
        data: bytes = b"",
        gib: float = 4,
        clock: str = "",
        fault: str = "",
    ) -> QemuMachine:
        disk = make_empty_disk(tmp_path / "disk.raw", gib)
        with disk.open("r+b") as file:
            file.write(data)
        plan = QemuPlan(
            "box", "52:54:00:5a:00:01", firmware, uuid="0e7e2a5c-92a4-4d4d-9f63-3f1d6c1d0a01", clock=clock,
            disk_fault=fault,
        )  # fmt: skip
        return QemuMachine(power.lab, plan, disk)

    return make
