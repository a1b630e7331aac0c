"""What an agent of Nomad leaves behind on purpose when it ends: tasks, log collectors, mounts."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# In what an agent is given, and hands on to all that it starts: its folder.
MARK = "NOMAD_FIXTURE_FOLDER"


def clear_away(folder: Path) -> None:
    """Ends what still runs of the agents below `folder`, unmounts what they mounted, deletes the rest."""
    _end_processes(folder)
    _unmount_under(folder)
    shutil.rmtree(folder, ignore_errors=True)


def environments() -> Iterator[tuple[int, list[str]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield int(entry.name), (entry / "environ").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue  # it ended meanwhile


def _end_processes(folder: Path) -> None:
    """Executors, tasks and log collectors outlive their agent on purpose: they are known by the folder in
    what they were given. Not by a number, which the kernel gives again: other tests run beside these."""
    mark = re.compile(re.escape(str(folder)) + r"(?![\w.-])")
    for pid, environment in environments():
        with suppress(OSError):  # it ended meanwhile
            given = "\0".join(environment) + Path(f"/proc/{pid}/cmdline").read_text()
            if mark.search(given) and pid != os.getpid():
                os.kill(pid, signal.SIGKILL)


def _unmount_under(folder: Path) -> None:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        target = line.split()[1]
        if target.startswith(f"{folder}/"):
            subprocess.run(["umount", "-l", target], check=False, capture_output=True)
