"""Runs a worker on one core and writes down the processor time it took; bench/farm.py gives it to Nomad in
the place of `avatar`: `pinned_worker.py FOLDER PROGRAM [ARGUMENT...]`.
"""

from __future__ import annotations

import fcntl
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO


def main(folder: Path, command: list[str]) -> int:
    core, held = free_core(folder)
    os.sched_setaffinity(0, {core})
    with held:
        code = subprocess.call(command)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        with (folder / "used").open("a") as lines:
            lines.write(f"{core} {used.ru_utime + used.ru_stime:.3f}\n")
    return code


def free_core(folder: Path) -> tuple[int, BinaryIO]:
    """One that no other of us is on, and its lock; waits for the first when there is none."""
    cores = sorted(os.sched_getaffinity(0))
    for core in cores:
        held = (folder / f"core-{core}").open("ab")
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.close()
        else:
            return core, held
    held = (folder / f"core-{cores[0]}").open("ab")
    fcntl.flock(held, fcntl.LOCK_EX)
    return cores[0], held


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
