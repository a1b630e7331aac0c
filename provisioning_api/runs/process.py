"""Starts, watches and ends the processes of runs; called by the driver."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from provisioning_api.runs.child import ALIVE

MARK = "SOUNDSTAGE_RUN"
GRACE_S = 15.0
POLL_S = 0.1


async def start(folder: Path, run_id: str) -> asyncio.subprocess.Process:
    """A process group of its own, which does not end with ours.

    We take the lock and hand it on: there is no moment at which the run is neither here nor there.
    """
    descriptor = os.open(folder / ALIVE, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with (folder / "child.log").open("ab") as log:
            started = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "provisioning_api.runs.child", str(folder),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**_environment(), MARK: run_id},
                pass_fds=(descriptor,),
                start_new_session=True,
            )  # fmt: skip
        os.write(descriptor, str(started.pid).encode())
        return started
    finally:
        os.close(descriptor)


def is_alive(folder: Path) -> bool:
    """Returns whether a process holds the lock, which a reused process id cannot pretend."""
    try:
        descriptor = os.open(folder / ALIVE, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


async def end(folder: Path, run_id: str) -> None:
    """Asks the process to stop, then stops it and everything that carries its mark; returns when all is gone.

    ansible-runner gives Ansible a session of its own, and Ansible leaves SSH connections behind for later
    use, so the process group alone would not do.
    """
    if is_alive(folder):
        _ask_to_stop(folder)
        for _ in range(int(GRACE_S / POLL_S)):
            if not is_alive(folder):
                break
            await asyncio.sleep(POLL_S)
    while marked := await asyncio.to_thread(_marked, run_id):
        for pid in marked:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(POLL_S)


def _ask_to_stop(folder: Path) -> None:
    text = (folder / ALIVE).read_text()
    with suppress(ProcessLookupError):
        if text.isdigit():
            os.killpg(int(text), signal.SIGTERM)


def _marked(run_id: str) -> list[int]:
    """Processes of ours whose environment names the run; those that have ended and wait for their parent
    not.
    """
    mark, found = f"{MARK}={run_id}".encode(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0") and not _ended(entry):
                    found.append(int(entry.name))
    return found


def _ended(entry: Path) -> bool:
    return (entry / "stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")


def _environment() -> dict[str, str]:
    """Returns what a run needs of ours; settings and keys of this process are not among it."""
    inherited = ("PATH", "LANG", "LC_ALL", "HOME", "TZ", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")
    return {name: os.environ[name] for name in inherited if name in os.environ}
