"""Runs a worker on one core and writes down the processor time it took; bench/farm_overhead.py gives it to
Nomad in the place of `avatar`: `pinned_worker.py FOLDER CORES PROGRAM [ARGUMENT...]`.
"""

from __future__ import annotations

import fcntl
import os
import resource
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


def main(folder: Path, cores: int, command: list[str]) -> int:
    core, held = free_core(folder, sorted(os.sched_getaffinity(0))[:cores])
    os.sched_setaffinity(0, {core})
    with held:
        code = subprocess.call(command)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        with (folder / "used").open("a") as lines:
            lines.write(f"{core} {used.ru_utime + used.ru_stime:.3f}\n")
    return code


def free_core(folder: Path, cores: list[int]) -> tuple[int, BinaryIO]:
    """The least used one that no other of us is on, and its lock: the one before may be about to end."""
    used = dict.fromkeys(cores, 0.0)
    with suppress(FileNotFoundError):
        for line in (folder / "used").read_text().splitlines():
            core, seconds = line.split()
            used[int(core)] += float(seconds)
    while True:
        for core in sorted(cores, key=used.__getitem__):
            held = (folder / f"core-{core}").open("ab")
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return core, held
            except BlockingIOError:
                held.close()
        time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
