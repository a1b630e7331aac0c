"""The real worker, which hangs in the middle of its frames when it is told to; used by test_farm.py.

Called as `python hanging_worker.py HOLD AVATAR ARGUMENT...`. As soon as the program draws and the file HOLD
is there, the program is stopped where it is and the file is renamed to `HOLD.held`: it hangs as one does
whose card has gone. The next worker finds no such file and runs through.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path


def main(hold: Path, command: list[str]) -> int:
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    if child.stdout is None:
        raise RuntimeError("the program has no standard output")
    for line in child.stdout:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
        if b'"event":"progress"' in line:
            with suppress(FileNotFoundError):
                hold.rename(f"{hold}.held")
                child.send_signal(signal.SIGSTOP)
    return child.wait()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
