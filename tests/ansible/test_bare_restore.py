"""A drill: control machine and controller are lost. A computer with an empty disk boots from the network of
an operator's laptop, gets the address of the lost machine, and becomes the same farm out of copies on S3 and
the operator's recovery key.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from agent_in_lab import MACHINE, packed_program
from boot_services import BootServices
from farm_in_lab import ANSIBLE, Carried, LabFarm
from farm_with_copies import (
    ADDRESS,
    farm_with_copies,
    fill,
    lose_secrets,
    recover_secrets,
    require_the_same,
    restore,
)
from journey_inputs import FARM, PROGRAM
from qemu_machine import QemuMachine, QemuPlan, make_empty_disk, why_no_qemu

from lab.farm_in_a_box import Lab
from lab.image_tree import bootable_tree
from pxe.image.build import BuiltImage, build_image
from pxe.image.debian import mirror_of_this_computer
from pxe.image.recipe import Kernel, Recipe

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.cached(*FARM, *PROGRAM, "tests/servers"),
]
PATIENCE_S = 1800.0
MAC = "52:54:00:5a:00:03"
# The boot server's playbook, as in docs/guide/backups.md: it lets the operator in, and the machine
# forgets the boot server, which nobody needs afterwards.
LET_IN = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: Make the folder of the operator's key
      ansible.builtin.file: {{path: /root/.ssh, state: directory, mode: "0700"}}

    - name: Let the operator in
      ansible.builtin.copy: {{dest: /root/.ssh/authorized_keys, content: "{key}\\n", mode: "0600"}}

    - name: Forget the boot server
      ansible.builtin.systemd_service: {{name: "{{{{ item }}}}", enabled: false}}
      loop: [soundstage-call-home.service, soundstage-renew.timer]
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Carried:
    return packed_program(tmp_path_factory.mktemp("program"))


@pytest.fixture(scope="module")
def image(
    ansible_environment: Path, program: Carried, bake_roles: Callable[[str, list[str], Carried], str]
) -> BuiltImage:
    """With what the roles install on a control machine; made once for these roles and this program."""
    if why := why_no_qemu():
        pytest.skip(why)
    layer = bake_roles(
        "control",
        ["control", "agent", "provisioning"],
        Carried(program.name, {**program.variables, "nomad__gpu_plugin": False}),
    )
    return build_image(
        Recipe(kernel=Kernel.CLOUD),
        mirror=mirror_of_this_computer(),
        ssh_user="root",
        name="control",
        tree=bootable_tree(layer, ansible_environment, Kernel.CLOUD, print),
        say=print,
    )


@pytest.fixture(scope="module")
def farm(
    image: BuiltImage,
    lab_names: Callable[[str], Lab],
    engines: dict[str, Path],
    carried: Carried,
    program: Carried,
    baked_layer: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LabFarm]:
    folder = tmp_path_factory.mktemp("bare")
    with farm_with_copies(lab_names("bare"), baked_layer, engines, carried | program, folder) as farm:
        yield farm


def test_an_empty_computer_becomes_the_same_farm(
    farm: LabFarm, image: BuiltImage, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    before = fill(farm, tmp_path)
    lose_secrets(farm)
    farm.lab.power_off(MACHINE)
    # Its authorities are its own: those of the farm are lost.
    laptop = boot_server(farm, image, tmp_path)

    on = time.monotonic()
    computer = QemuMachine(
        farm.lab.paths, QemuPlan(MACHINE, MAC, memory_mib=4096), make_empty_disk(tmp_path / "disk.raw", 16)
    )
    computer.power_on()
    found = laptop.wait_for(computer, "discovered", timeout_s=PATIENCE_S)
    laptop.accept(found, MACHINE)
    laptop.wait_for(computer, "ready", timeout_s=PATIENCE_S)
    trust_new_hardware(farm, laptop)
    reached = time.monotonic() - on

    recover_secrets(farm, before, tmp_path)
    report = restore(farm)
    seconds = time.monotonic() - on
    require_the_same(farm, before, tmp_path)
    # The boot server's runs could enter until the farm's own authority came back.
    (others,) = laptop.call("GET", "/api/inventory")["all"]["vars"]["ssh_hardening__also_trusted"]
    trusted = farm.on(MACHINE, "cat", "/etc/ssh/soundstage_user_ca.pub")
    assert (trusted.returncode, others["authority"] in trusted.stdout) == (0, False)
    print(f"answers SSH after {reached:.0f} s, the same farm after {seconds:.0f} s; {report}")
    record_property("seconds", round(seconds))
    record_property("ssh_seconds", round(reached))


def boot_server(farm: LabFarm, image: BuiltImage, folder: Path) -> BootServices:
    """Starts the boot server of an operator, which gives the new computer the address of the lost one."""
    key = farm.lab.paths.ssh_key.with_suffix(".pub").read_text().strip()
    (folder / "playbook.yaml").write_text(LET_IN.format(key=key))
    server = BootServices(
        farm.lab.paths,
        {
            "SOUNDSTAGE_PROVISIONING__PROJECT_DIR": str(folder),
            "SOUNDSTAGE_PROVISIONING__ANSIBLE_BIN": str(ANSIBLE),
            "SOUNDSTAGE_PROVISIONING__SSH_USER": "root",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"),
        },
    )
    server.start(reservations=[{"mac": MAC, "address": ADDRESS, "name": MACHINE}])
    server.publish(image)
    return server


def trust_new_hardware(farm: LabFarm, laptop: BootServices) -> None:
    """Replaces the host key of the lost machine by that with which the new one enrolled, and gives an
    emulated processor its time in the inventory."""
    known_hosts, machine = farm.lab.paths.known_hosts, laptop.call("GET", f"/api/machines/{MACHINE}")
    assert machine["address"] == ADDRESS
    subprocess.run(["ssh-keygen", "-q", "-R", MACHINE, "-f", known_hosts], check=True, capture_output=True)
    with known_hosts.open("a") as lines:
        lines.write(f"{MACHINE},{ADDRESS} {machine['host_key']}\n")
    hosts = {"all": {"hosts": {MACHINE: {"ansible_ssh_timeout": 60}}}}
    (farm.inventory / "40-new-hardware.yaml").write_text(yaml.safe_dump(hosts))
    assert farm.on(MACHINE, "test", "-e", "/etc/soundstage/engines.json").returncode == 0
