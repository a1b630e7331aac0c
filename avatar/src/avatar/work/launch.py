"""Runs as a tiny program between `avatar work` and the program it starts: ties its life to its parent's, then
becomes it.

Called as `python -I -S launch.py PARENT_PID PROGRAM ARGUMENT...`. A program of its own because what must
happen between fork and exec is not safe to do in Python inside a process that has threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
EXIT_ORPHANED = 125
EXIT_NOT_FOUND = 127


def main(arguments: list[str]) -> int:
    parent, program = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        return EXIT_ORPHANED
    try:
        os.execvp(program[0], program)  # noqa: S606 - a list of arguments, no shell
    except OSError as error:
        print(f"cannot start {program[0]}: {error.strerror}", file=sys.stderr)
        return EXIT_NOT_FOUND


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
