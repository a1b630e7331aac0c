"""The bubblewrap command of one run: what is shown inside, and nothing else; called by the sandbox."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from agent.sandbox.interpreter import Interpreter, libraries
from agent.sandbox.limits import MIB, Limits

WORK = "/work"
PROGRAM = "/run/inside.py"
NOBODY = "65534"
SHARED_MEMORY = 8 * MIB
DEVICES = ("null", "zero", "full", "random", "urandom")
MAX_NAMESPACES = Path("/proc/sys/user/max_user_namespaces")
"""Where bubblewrap tells the kernel that there are no user namespaces below its own."""


def kernel_can_seal() -> bool:
    """Returns whether the kernel can be told to refuse namespaces inside. In containers, and so in Nomad's
    isolated tasks, its settings are read-only; there the filter of system calls is what refuses them.
    """
    try:
        return not os.statvfs(MAX_NAMESPACES).f_flag & os.ST_RDONLY
    except OSError:
        return False


def sandbox_command(
    bwrap: Path, python: Interpreter, limits: Limits, *, program_fd: int, seccomp_fd: int | None, sealed: bool
) -> list[str]:
    """`program_fd` holds the program that runs first, `seccomp_fd` the filter of system calls; `sealed` has
    the kernel refuse namespaces inside, as the filter does.

    There is no /proc inside, /dev holds five devices, and all that can be written has a size.
    """
    command = [
        str(bwrap), "--unshare-all", "--unshare-user",
        *(("--disable-userns", "--assert-userns-disabled") if sealed else ()),
        "--uid", NOBODY, "--gid", NOBODY, "--cap-drop", "ALL", "--hostname", "sandbox",
        "--new-session", "--die-with-parent", "--clearenv",
        "--setenv", "PATH", "/usr/bin", "--setenv", "HOME", WORK, "--setenv", "LANG", "C.UTF-8",
    ]  # fmt: skip
    for tree in python.trees:
        command += ["--ro-bind", str(tree), str(tree)]
    for folder in python.hidden:
        command += ["--tmpfs", str(folder), "--remount-ro", str(folder)]
    command += _library_links()
    for device in DEVICES:
        command += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    for place, size in (
        (WORK, limits.work_mib * MIB),
        ("/tmp", limits.work_mib * MIB),  # noqa: S108 - inside the sandbox, where it is its own
        ("/dev/shm", SHARED_MEMORY),  # noqa: S108 - the same
    ):
        command += ["--perms", "0700", "--size", str(size), "--tmpfs", place]
    command += ["--perms", "0444", "--ro-bind-data", str(program_fd), PROGRAM, "--remount-ro", "/"]
    if seccomp_fd is not None:
        command += ["--seccomp", str(seccomp_fd)]
    return [*command, "--chdir", WORK, "--", str(python.program), "-I", "-S", "-B", PROGRAM]


def _library_links() -> Iterator[str]:
    """/lib and /lib64, where programs name their loader: links into /usr, as on Debian, or folders of their
    own, as Nomad makes them for isolated tasks.
    """
    for name in ("lib", "lib64"):
        place = Path("/", name)
        if place.is_symlink():
            yield from ("--symlink", f"usr/{name}", str(place))
        elif place.is_dir():
            for path in libraries(place) if name == "lib" else [place]:
                yield from ("--ro-bind", str(path), str(path))
