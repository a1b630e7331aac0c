"""Measures the stages of a machine from power-on to ready, on an emulated computer:
`scripts/bench metal [--firmware uefi]`, as root. The run of Ansible is one task: what a farm's
playbook adds is told by bench/role_runs.py.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests/lab_fixture"))

from boot_services import BootServices
from qemu_machine import Firmware, QemuMachine, QemuPlan, make_empty_disk, why_no_qemu

from bench.results import add_figure, add_json_option, write_figures
from lab.farm_in_a_box import Lab
from lab.network import connect
from lab.requirements import what_is_missing
from pxe.image.build import build_image
from pxe.image.debian import mirror_of_this_computer
from pxe.image.recipe import Kernel, Recipe

ROOT = Path(__file__).parents[1]
MAC = "52:54:00:be:0c:01"
PLAYBOOK = (
    "- hosts: all\n  gather_facts: false\n  tasks:\n    - name: One task\n      ansible.builtin.ping:\n"
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--firmware", choices=[one.value for one in Firmware], default="bios")
    add_json_option(parser)
    parser.add_argument("--patience-s", type=float, default=900)
    options = parser.parse_args()
    if missing := what_is_missing() or why_no_qemu():
        print(missing, file=sys.stderr)
        return 1
    image = build_image(
        Recipe(kernel=Kernel.CLOUD),
        mirror=mirror_of_this_computer(),
        ssh_user="soundstage",
        name="test",
        say=print,
    )
    lab = Lab(f"bench-metal-{os.getpid()}")
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        (project / "playbook.yaml").write_text(PLAYBOOK)
        try:
            lab.up(())
            power = BootServices(
                lab.paths,
                {
                    "SOUNDSTAGE_PROVISIONING__PROJECT_DIR": folder,
                    "SOUNDSTAGE_PROVISIONING__ANSIBLE_BIN": str(ROOT / "ansible/.venv/bin"),
                    "ANSIBLE_SSH_CONTROL_PATH_DIR": f"{folder}/cp",
                },
            )
            power.start()
            power.publish(image)
            plan = QemuPlan("box", MAC, Firmware(options.firmware))
            machine = QemuMachine(lab.paths, plan, make_empty_disk(project / "disk.raw", 8))
            load = os.getloadavg()[0]
            seconds = follow(power, machine, options.patience_s)
        finally:
            lab.down()
    index = image.index
    print(
        f"\n{options.firmware}, {index.stored_bytes >> 20} MiB in {len(index.chunks)} pieces, "
        f"{os.cpu_count()} processors, load {load:.1f} before it began\n"
    )
    print("| stage | seconds since power-on | of them |\n|---|---|---|")
    before = 0.0
    for what, at in seconds.items():
        print(f"| {what} | {at:.1f} | {at - before:.1f} |")
        before = at
    for what, at in seconds.items():
        goal = "< 300" if what == "ready" else None
        add_figure(f"{options.firmware}: from power-on until {what}", at, "s", goal=goal)
    write_figures("boot", options.json)
    return 0 if "ready" in seconds else 1


def follow(power: BootServices, machine: QemuMachine, patience_s: float) -> dict[str, float]:
    """Returns the time of each stage. Accepts the machine as soon as it is registered."""

    def state() -> str:
        found = power.machine(MAC)
        return "" if found is None else str(found["state"])

    def is_accepted() -> bool:
        found = power.machine(MAC)
        if found is not None and found["state"] == "discovered":
            power.accept(found, "node1")
        return found is not None

    stages: dict[str, Callable[[], bool]] = {
        "iPXE has an address": lambda: "DHCPACK" in power.dhcp_log,
        "the agent's kernel runs": lambda: "Command line:" in machine.console,
        "the agent has an address": lambda: "soundstage: address" in machine.console,
        "it has reported, and is accepted": is_accepted,
        "its plan stands": lambda: "PLAN:" in machine.console,
        "the image is on the disk": lambda: "100 %" in machine.console,
        "enrolled": lambda: "enrolled as" in machine.console,
        "its own system greets on SSH": lambda: _greets(power),
        "it has called home": lambda: state() in ("configuring", "ready", "failed"),
        "ready": lambda: state() == "ready",
    }
    seen: dict[str, float] = {}
    start = time.monotonic()
    machine.power_on()
    while len(seen) < len(stages) and time.monotonic() < start + patience_s:
        what = next(one for one in stages if one not in seen)
        if stages[what]():
            seen[what] = time.monotonic() - start
        else:
            time.sleep(0.1)
    if "ready" not in seen:
        print(f"{state()}\n{machine.console[-3000:]}", file=sys.stderr)
    return seen


def _greets(power: BootServices) -> bool:
    """The agent's address is the system's too; the agent itself has no SSH."""
    found = power.machine(MAC)
    if found is None or found["address"] is None:
        return False
    with suppress(TimeoutError, OSError), connect(power.lab, found["address"], 22, 0.7) as link:
        link.settimeout(0.7)
        return link.recv(4) == b"SSH-"
    return False


if __name__ == "__main__":
    sys.exit(main())
