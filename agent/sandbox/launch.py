"""Becomes the sandbox: joins its control groups, will be the first to go when memory ends, gives up root, and
executes bubblewrap in its own place.

Started by agent.sandbox.runner as a program, because all of this belongs between fork and exec. Arguments:
the user id to take (-1: none), files to write our process id into, `--`, the command.
"""

from __future__ import annotations

import os
import sys

NICENESS = 10
FIRST_TO_GO = "1000"
"""Where a task of Nomad has no memory left the kernel ends this, and not the server that shares the task."""


def main() -> None:
    user, *rest = sys.argv[1:]
    split = rest.index("--")
    for path in rest[:split]:
        with open(path, "w", encoding="ascii") as file:  # noqa: PTH123 - starts without site and pathlib
            file.write(str(os.getpid()))
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123 - the same
        file.write(FIRST_TO_GO)
    os.nice(NICENESS)
    if int(user) >= 0:
        os.setgroups([])
        os.setresgid(int(user), int(user), int(user))
        os.setresuid(int(user), int(user), int(user))
    os.execv(rest[split + 1], rest[split + 1 :])  # noqa: S606 - no shell, and the command is ours


if __name__ == "__main__":
    main()
