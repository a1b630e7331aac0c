"""The bubblewrap command of one run: what is shown inside, and nothing else; called by the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from agent.sandbox.interpreter import Interpreter
from agent.sandbox.limits import MIB, Limits

WORK = "/work"
PROGRAM = "/run/inside.py"
NOBODY = "65534"
SHARED_MEMORY = 8 * MIB
DEVICES = ("null", "zero", "full", "random", "urandom")


def sandbox_command(
    bwrap: Path, python: Interpreter, limits: Limits, *, program_fd: int, seccomp_fd: int | None
) -> list[str]:
    """`program_fd` holds the program that runs first, `seccomp_fd` the filter of system calls.

    There is no /proc inside, /dev holds five devices, and all that can be written has a size.
    """
    command = [
        str(bwrap), "--unshare-all", "--unshare-user", "--disable-userns", "--assert-userns-disabled",
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
    """/lib and /lib64 where they are links into /usr, as on Debian: programs name their loader there."""
    for name in ("lib", "lib64"):
        if Path("/", name).is_symlink():
            yield from ("--symlink", f"usr/{name}", f"/{name}")
