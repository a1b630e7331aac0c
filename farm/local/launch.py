"""Runs as a tiny program between the pool and the worker: lowers its rank, ties its life to ours, then
becomes it.

Called by farm.local.process as `python -I -S launch.py PARENT_PID NICENESS PROGRAM ARGUMENT...`. A program
of its own because what must happen between fork and exec is not safe to do in Python inside a process that
has threads.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
EXIT_ORPHANED = 125
EXIT_NOT_FOUND = 127


def die_with_parent() -> None:
    """SIGKILL when the pool's thread ends, even by kill -9 (prctl(2)). Where there is no prctl the pid files
    serve.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def be_the_first_to_go() -> None:
    """Lets the kernel kill a worker when memory runs out, which is retried, and not the control process."""
    try:
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
    except OSError:
        return


def main(arguments: list[str]) -> int:
    parent, niceness, program = int(arguments[0]), int(arguments[1]), arguments[2:]
    die_with_parent()
    if os.getppid() != parent:
        return EXIT_ORPHANED
    os.nice(niceness)
    be_the_first_to_go()
    try:
        os.execvp(program[0], program)  # noqa: S606 - a list of arguments, no shell
    except OSError as error:
        print(f"cannot start {program[0]}: {error.strerror}", file=sys.stderr)
        return EXIT_NOT_FOUND


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
