"""Makes, starts and stops the machines of a lab (called by `farm_in_a_box`).

A machine is an overlay over the shared root tree, on a disk of its own, under systemd-nspawn. Its keeper
(`keeper.py`) starts it anew when it reboots.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path

from lab.cards.machine_view import card_binds, write_cards
from lab.cluster.configuration import write_cluster_files
from lab.control_groups import (
    end_all,
    keeper_group,
    machine_group,
    machine_groups_v1,
    make_machine_groups,
    processes_of,
    remove_tree,
)
from lab.layers import layer_folder
from lab.machine_system import make_machine_system
from lab.network import BRIDGE, connect
from lab.own_files import write_own_files
from lab.paths import LabPaths, MachinePaths
from lab.plan import LabPlan, MachinePlan
from lab.programs import run_program, start_program
from lab.root_tree import root_tree
from lab.ssh_access import enter_command
from soundstage.errors import Unavailable

_LOOP = Path("/dev/loop-control")


def make_disk(machine: MachinePaths, size_gib: int) -> None:
    """Mounts a disk of `size_gib`; it takes only the room that is used. In memory where there are no loop
    devices."""
    machine.disk.mkdir()
    if not _LOOP.exists():
        options = f"size={size_gib}G,mode=755"
        run_program(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", machine.disk], doing="Making a disk in memory"
        )
        return
    with machine.disk_image.open("wb") as file:
        file.truncate(size_gib * 2**30)
    late = "lazy_itable_init=1,lazy_journal_init=1,nodiscard"
    run_program(
        ["mkfs.ext4", "-q", "-m", "0", "-E", late, "-J", "size=16", machine.disk_image], doing="Making a disk"
    )
    run_program(
        ["mount", "-o", "loop,noatime,barrier=0", machine.disk_image, machine.disk], doing="Mounting a disk"
    )


_KEEPER = Path(__file__).parent / "keeper.py"
_CONNECT_TIMEOUT_S = 0.7
_STOP_TIMEOUT_S = 60.0
# A second or two, but other work may keep this computer busy.
_BOOT_TIMEOUT_S = 300.0


def make_machine(lab: LabPaths, plan: LabPlan, machine: MachinePlan, public_key: str) -> str:
    """Creates its disk, its files and its root file system. Returns its line for known_hosts."""
    paths = lab.machine(machine.name)
    paths.folder.mkdir(parents=True)
    make_disk(paths, machine.disk_gib)
    paths.upper.mkdir(mode=0o755)
    paths.work.mkdir(mode=0o755)
    paths.root.mkdir()
    known = write_own_files(paths, plan, machine, public_key)
    write_cards(paths, machine.cards)
    write_cluster_files(paths.upper, plan, machine)
    mount_root(paths, plan)
    return known


def mount_root(paths: MachinePaths, plan: LabPlan) -> None:
    below = [
        *(str(layer_folder(plan.root_tree, name)) for name in reversed(plan.layers)),
        str(make_machine_system()),
        str(root_tree(plan.root_tree)),
    ]
    options = f"lowerdir={':'.join(below)},upperdir={paths.upper},workdir={paths.work}"
    run_program(
        ["mount", "-t", "overlay", "overlay", "-o", options, paths.root], doing="Mounting a machine's files"
    )


def start_machine(lab: LabPaths, machine: MachinePlan) -> None:
    """Starts the keeper process, which starts the machine; returns at once. Does nothing when it runs."""
    paths = lab.machine(machine.name)
    if processes_of(machine_group(paths)) or processes_of(keeper_group(paths)):
        return
    earlier = boots(lab, machine)
    paths.state.unlink(missing_ok=True)
    _remove_stale_link(paths)
    spec = {
        "command": [*enter_command(lab), *_nspawn(paths, machine)],
        "groups": [str(one) for one in make_machine_groups(paths, machine.memory_mib)],
        "own_group": str(keeper_group(paths)),
        "log": str(paths.log),
        "earlier_boots": earlier,
        "state": str(paths.state),
    }
    keeper = start_program(_KEEPER, spec, paths.folder / "keeper.json")
    # The keeper joins its group itself, too; done here so that `is_running` is true on return.
    with suppress(ProcessLookupError):
        (keeper_group(paths) / "cgroup.procs").write_text(str(keeper.pid))


def stop_machine(lab: LabPaths, machine: MachinePlan) -> None:
    """Kills all processes of a machine: a hard power-off without shutdown or flush. Its disk stays."""
    paths = lab.machine(machine.name)
    end_all(machine_group(paths))
    # `cgroup.kill` leaves a counter in the killed group that groups created below it later do not have. Linux
    # 6.18 compares them and kills a process that is cloned from the one group into the other, as systemd does
    # after the next boot. So remove the group.
    remove_tree(machine_group(paths))
    # Its files are free when its keeper has exited, a moment after the processes are gone.
    until = time.monotonic() + _STOP_TIMEOUT_S
    while processes_of(keeper_group(paths)):
        if time.monotonic() > until:
            end_all(keeper_group(paths))
        time.sleep(0.01)


def _remove_stale_link(paths: MachinePaths) -> None:
    """The kernel removes a killed machine's link a while after its processes, and systemd-nspawn does not
    start while it is there."""
    run_program(
        ["ip", "-n", paths.lab.network, "link", "del", paths.link],
        doing="Removing the link of a machine that was killed",
        fine=(0, 1, 2),  # there is none, or it goes in this moment
    )


def wait_until_booting(lab: LabPaths, machine: MachinePlan, timeout_s: float = _STOP_TIMEOUT_S) -> None:
    """Waits until the machine's first process runs. Raises Unavailable `lab.machine_not_up` otherwise."""
    paths = lab.machine(machine.name)
    until = time.monotonic() + timeout_s
    # systemd-nspawn makes this group when all else is ready.
    while not processes_of(machine_group(paths) / "payload") and not is_ssh_up(lab, machine):
        if time.monotonic() > until or _state(paths) == "off" or not processes_of(keeper_group(paths)):
            raise _not_up(paths, "does not start")
        time.sleep(0.02)


def wait_for_ssh(lab: LabPaths, machine: MachinePlan, timeout_s: float = _BOOT_TIMEOUT_S) -> float:
    """Returns the seconds until SSH is up. Raises Unavailable when it does not come up in time."""
    paths = lab.machine(machine.name)
    start = time.monotonic()
    while time.monotonic() < start + timeout_s:
        if is_ssh_up(lab, machine):
            return time.monotonic() - start
        if _state(paths) == "off":
            break
        time.sleep(0.02)
    raise _not_up(paths, "does not answer on SSH")


def _not_up(paths: MachinePaths, problem: str) -> Unavailable:
    return Unavailable(
        "lab.machine_not_up",
        f"The machine “{paths.name}” {problem}: {_last_lines(paths)}",
        f"Its console is in {paths.log}.",
    )


def is_ssh_up(lab: LabPaths, machine: MachinePlan) -> bool:
    try:
        # A hard limit per try: one lost packet would otherwise cost the back-off of TCP.
        with connect(lab, machine.address, 22, _CONNECT_TIMEOUT_S) as link:
            link.settimeout(_CONNECT_TIMEOUT_S)
            return link.recv(4) == b"SSH-"
    except (TimeoutError, OSError):
        return False


def is_running(lab: LabPaths, machine: MachinePlan) -> bool:
    return bool(processes_of(machine_group(lab.machine(machine.name))))


def console_command(lab: LabPaths, machine: MachinePlan, command: list[str]) -> list[str]:
    """Returns the command that runs `command` on the machine as at its console, without its network. Raises
    Unavailable `lab.machine_not_up` where it does not run.
    """
    paths = lab.machine(machine.name)
    # systemd, by which it has started.
    first = processes_of(machine_group(paths) / "payload" / "init.scope")
    if not first:
        raise _not_up(paths, "does not run")
    spaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd"]
    return ["nsenter", f"--target={first[0]}", *spaces, "--", *command]


def boots(lab: LabPaths, machine: MachinePlan) -> int:
    """Returns how often it has booted since it was made."""
    try:
        return int(json.loads(lab.machine(machine.name).state.read_text())["boots"])
    except FileNotFoundError:
        return 0


def _nspawn(paths: MachinePaths, machine: MachinePlan) -> list[str]:
    binds = [f"--bind={group}:/cg1/{name}" for name, group in machine_groups_v1(paths).items()]
    binds += card_binds(paths)
    return [
        "systemd-nspawn",
        "--quiet",
        "--boot",
        "--register=no",
        "--keep-unit",
        f"--machine={paths.id}",
        f"--hostname={machine.name}",
        f"--directory={paths.root}",
        f"--network-bridge={BRIDGE}",
        "--console=pipe",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        # Nomad's isolated tasks each join a session keyring.
        "--system-call-filter=@keyring",
        *binds,
    ]


def _state(paths: MachinePaths) -> str:
    try:
        return str(json.loads(paths.state.read_text())["state"])
    except FileNotFoundError:
        return ""


def _last_lines(paths: MachinePaths) -> str:
    try:
        lines = paths.log.read_text(errors="replace").strip().splitlines()
    except FileNotFoundError:
        lines = []
    return " / ".join(line.strip() for line in lines[-3:]) or "its console is silent"
