"""The network of a lab: one namespace, one bridge, nothing that leads out (called by `up`, `down` and the
faults)."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from lab.paths import LabPaths
from lab.plan import GATEWAY
from lab.programs import run_program
from soundstage.errors import SoundstageError, Unavailable

BRIDGE = "br0"
_CLONE_NEWNET = 0x40000000
_T = TypeVar("_T")


def make_network(lab: LabPaths) -> None:
    """A namespace with a bridge. What machines send to the outside is refused at once and not dropped, so
    that a role that reaches out fails in a moment and not after a time-out."""
    run_program(["ip", "netns", "add", lab.network], doing="Making the network")
    batch = [
        "link set lo up",
        f"link add {BRIDGE} type bridge",
        f"addr add {GATEWAY}/24 dev {BRIDGE}",
        f"link set {BRIDGE} up",
        "route add unreachable default",
    ]
    run_program(
        ["ip", "-n", lab.network, "-batch", "-"], doing="Making the bridge", stdin="\n".join(batch) + "\n"
    )
    run_program(
        ["nsenter", f"--net={lab.network_file}", "sysctl", "-q", "-w", "net.ipv4.ip_forward=1"],
        doing="Letting the bridge answer for the outside",
    )


def remove_network(lab: LabPaths) -> None:
    """Nothing happens when there is none."""
    if lab.network_file.exists():
        with suppress(SoundstageError):  # a namespace that was never finished is a plain file, removed below
            run_program(["ip", "netns", "del", lab.network], doing="Removing the network")
        lab.network_file.unlink(missing_ok=True)


def inside(lab: LabPaths, work: Callable[[], _T]) -> _T:
    """Returns what `work` answers in the lab's network. Sockets that it makes stay there; nothing else is
    changed.
    """
    answers: list[_T] = []
    errors: list[BaseException] = []

    def enter_and_work() -> None:
        try:
            _enter(lab.network_file)
            answers.append(work())
        except BaseException as error:
            errors.append(error)

    # A namespace belongs to a thread, and this one ends with its work: no way back is needed.
    thread = threading.Thread(target=enter_and_work)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return answers[0]


def connect(lab: LabPaths, address: str, port: int, timeout_s: float) -> socket.socket:
    """A TCP connection to a machine of the lab. Raises OSError."""
    return inside(lab, lambda: socket.create_connection((address, port), timeout_s))


def _enter(network: Path) -> None:
    try:
        file = os.open(network, os.O_RDONLY)
    except FileNotFoundError:
        raise Unavailable(
            "lab.network_gone",
            f"The network of the lab is gone ({network}).",
            "Take the lab down and up again.",
        ) from None
    try:
        # os.setns() comes with Python 3.12.
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(file, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(network))
    finally:
        os.close(file)
