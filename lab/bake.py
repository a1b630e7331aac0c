"""Bakes a layer: runs a command against one new machine, and keeps what it changed for later labs.

Roles that run once into a layer need not run again at each start: `soundstage lab bake farm --
ansible-playbook …`, then `soundstage lab up --layer farm`.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lab.farm_in_a_box import Lab, silent
from lab.layers import is_in_use, layer_folder
from lab.machines import is_running
from lab.own_files import forget_own_files
from lab.plan import machines_named
from lab.programs import run_program
from lab.root_tree import root_tree_key
from pxe.image.debian import SUITE
from pxe.image.folder_cache import rebuild
from soundstage.errors import Conflict, Unavailable, Upstream

MACHINE = "image"


def bake(
    name: str,
    command: list[str],
    *,
    on: Sequence[str] = (),
    groups: Sequence[str] = (),
    allowed_hosts: Sequence[str] = (),
    outside: Path | None = None,
    suite: str = SUITE,
    say: Callable[[str], None] = silent,
) -> Path:
    """Runs `command` in the network of a lab with the one machine `image`, in the Ansible groups `groups`,
    over the layers `on`; then puts its changes in the place of the layer `name`. A command that fails changes
    nothing. `outside`: a folder to run it in instead, with this computer's own network, for plays whose
    controller fetches something."""
    target = layer_folder(root_tree_key(suite), name)
    _require_unused(target, name)
    lab = Lab(f"bake-{name}"[:31].rstrip("-"))
    lab.down()
    try:
        lab.up(
            machines_named([MACHINE]),
            layers=on,
            groups={group: [MACHINE] for group in groups},
            allowed_hosts=allowed_hosts,
            suite=suite,
            say=say,
        )
        code = lab.enter(command) if outside is None else _run_outside(lab, command, outside)
        if code != 0:
            raise Upstream(
                "lab.bake_failed",
                f"The command for the layer “{name}” ended with {code}.",
                "The layer is as it was. Try the command on a lab of its own first.",
            )
        _switch_off(lab)
        _keep(lab.paths.machine(MACHINE).upper, target)
    finally:
        lab.down()
    return target


def _run_outside(lab: Lab, command: list[str], folder: Path) -> int:
    environment = lab.ansible_environment(lab.paths.inventory_from_outside)
    return subprocess.run(command, cwd=folder, env=environment).returncode


def _require_unused(target: Path, name: str) -> None:
    if is_in_use(target):
        raise Conflict(
            "lab.layer_in_use",
            f"A lab that is up stands on the layer “{name}”.",
            "`soundstage lab status` lists the labs; take it down first, or bake under another name.",
        )


def _switch_off(lab: Lab, timeout_s: float = 60) -> None:
    """In good order: services write what they have in mind."""
    lab.run(MACHINE, ["apt-get", "clean"])
    lab.run(MACHINE, ["systemctl", "poweroff"])
    until = time.monotonic() + timeout_s
    while is_running(lab.paths, lab.plan.machine(MACHINE)):
        if time.monotonic() > until:
            raise Unavailable(
                "lab.machine_stays_on",
                f"The machine of the layer did not switch itself off within {timeout_s:.0f} s.",
                "Look at its services: one of them does not end.",
            )
        time.sleep(0.02)


def _keep(upper: Path, target: Path) -> None:
    def make(staging: Path) -> None:
        # With the marks by which an overlay knows what was deleted: devices 0/0 and attributes.
        run_program(["cp", "--archive", f"{upper}/.", staging], doing="Keeping the layer", timeout_s=1800)
        forget_own_files(staging)

    rebuild(target, make)
