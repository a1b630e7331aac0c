"""A machine of a lab, started again as a whole computer: the same files, name, address and keys, but with a
kernel of its own (QEMU). For tests of what machines under systemd-nspawn cannot do, such as containers.

The kernel comes from a baked layer, so that it is downloaded once.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from qemu_machine import QemuMachine, QemuPlan

from lab.bake import bake
from lab.farm_in_a_box import Lab
from lab.layers import layer_folder
from lab.machines import is_ssh_up
from lab.plan import machines_named
from lab.programs import run_program
from lab.root_tree import make_root_tree

ANSIBLE = Path(__file__).resolve().parents[2] / "ansible" / ".venv" / "bin"
_KERNEL = "kernel"
_PACKAGES = ("linux-image-cloud-amd64", "initramfs-tools", "busybox-static")
# What keeps a machine under systemd-nspawn away from the computer's own hardware.
_NOT_ON_A_COMPUTER = (
    "systemd-modules-load.service",
    "systemd-udevd.service",
    "systemd-udev-trigger.service",
    "local-fs.target.wants/sys-bus-pci-devices.mount",
)
_DISK_MIB = 6144
# Emulated, and the computer may be busy with other tests.
_BOOT_S = 1200.0


def start_emulated(
    lab_names: Callable[[str], Lab],
    name: str,
    *,
    memory_mib: int = 1536,
    packages: Sequence[str] = (),
    files: Mapping[str, Path] | None = None,
) -> Lab:
    """A lab with the one machine `name`, which answers on SSH and is a computer of its own. `packages` are
    installed before, which is ten times faster there; `files` are folders that are copied to these paths."""
    lab = lab_names(name)
    lab.up(machines_named([name]), layers=[_kernel_layer()])
    if packages:
        install = "apt-get -qq update && apt-get -qq install --no-install-recommends --yes"
        done = lab.run(name, ["sh", "-ec", f"{install} {' '.join(packages)}"], timeout_s=900)
        assert done.returncode == 0, done.stderr
    lab.power_off(name)
    for place, source in (files or {}).items():
        shutil.copytree(source, lab.paths.machine(name).root / place.lstrip("/"))
    machine = lab.plan.machine(name)
    paths = lab.paths.machine(name)
    units = paths.root / "etc/systemd/system"
    for unit in _NOT_ON_A_COMPUTER:
        (units / unit).unlink()
    network = paths.root / "etc/systemd/network/10-lab.network"
    network.write_text(network.read_text().replace("Name=host0", "Name=en*"))
    (paths.root / "etc/fstab").write_text("/dev/vda / ext4 defaults 0 1\n")
    disk = paths.folder / "computer.img"
    run_program(
        ["mkfs.ext4", "-q", "-F", "-d", paths.root, disk, f"{_DISK_MIB}M"],
        doing="Making the disk of a computer",
        timeout_s=900,
    )
    boot = paths.root / "boot"
    plan = QemuPlan(
        name=name,
        mac="52:54:00:77:00:0b",
        memory_mib=memory_mib,
        kernel=next(boot.glob("vmlinuz-*")),
        ramdisk=next(boot.glob("initrd.img-*")),
        kernel_options="root=/dev/vda rw console=ttyS0",
    )
    computer = QemuMachine(lab.paths, plan, disk)
    computer.power_on()
    until = time.monotonic() + _BOOT_S
    while not is_ssh_up(lab.paths, machine):
        if time.monotonic() > until or not computer.is_on():
            raise AssertionError(f"{name} does not answer; its console:\n{computer.console[-3000:]}")
        time.sleep(0.5)
    return lab


def _kernel_layer() -> str:
    if not layer_folder(make_root_tree(print), _KERNEL).exists():
        wanted = f"name={','.join(_PACKAGES)} install_recommends=false update_cache=true"
        bake(_KERNEL, [str(ANSIBLE / "ansible"), "image", "-m", "ansible.builtin.apt", "-a", wanted])
    return _KERNEL
