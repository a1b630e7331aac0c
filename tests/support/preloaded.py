"""Starts Python programs in copies of a process that has imported their modules: 0.05 s instead of 3 s.

For tests that need a process of its own and prove nothing about its start. One `Preloaded` forks itself for
each start; the copy gets the environment, folder, arguments and descriptors that `subprocess.Popen` would
give it.
"""

from __future__ import annotations

import array
import atexit
import fcntl
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

MAX_MESSAGE_BYTES = 1 << 20
MAX_DESCRIPTORS = 16
END_S = 30


class PreloadedProcess:
    """A started copy: what tests need of `subprocess.Popen`. Its exit status is not known."""

    def __init__(self, pid: int, stdin: IO[bytes]) -> None:
        self.pid = pid
        self.stdin = stdin
        try:
            self._descriptor: int | None = os.pidfd_open(pid)
        except ProcessLookupError:
            self._descriptor = None

    def poll(self) -> int | None:
        """Returns None while it runs."""
        return 0 if self._has_ended(0) else None

    def wait(self, timeout: float) -> None:
        if not self._has_ended(timeout):
            raise subprocess.TimeoutExpired(str(self.pid), timeout)

    def send_signal(self, number: signal.Signals) -> None:
        if self._descriptor is not None:
            signal.pidfd_send_signal(self._descriptor, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def _has_ended(self, timeout: float) -> bool:
        if self._descriptor is None:
            return True
        if not select.select([self._descriptor], [], [], timeout)[0]:
            return False
        os.close(self._descriptor)
        self._descriptor = None
        self.stdin.close()
        return True


class Preloaded:
    """A process with imported modules, which ends with the process that has started it."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, __file__, str(theirs.fileno()), *modules]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)

    def start(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        output: IO[bytes],
        pass_fds: Sequence[int],
    ) -> PreloadedProcess:
        """Runs `python -m ARGUMENTS`. `output` gets what it prints, and its standard input is a pipe."""
        reads, writes = os.pipe()
        descriptors = {0: reads, 1: output.fileno(), 2: output.fileno(), **{one: one for one in pass_fds}}
        order = {
            "arguments": list(arguments),
            "cwd": str(cwd),
            "env": dict(env),
            "descriptors": list(descriptors),
        }
        rights = array.array("i", descriptors.values())
        self._socket.sendmsg([json.dumps(order).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        os.close(reads)
        answer = self._socket.recv(MAX_MESSAGE_BYTES)
        assert answer, "the preloaded process has ended"
        return PreloadedProcess(int(answer), os.fdopen(writes, "wb"))

    def close(self) -> None:
        """Ends it, and waits: so its processor time, and that of its copies, counts as ours."""
        self._socket.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@cache
def preload(*modules: str) -> Preloaded:
    """Returns the one of this process that has these modules."""
    created = Preloaded(modules)
    atexit.register(created.close)
    return created


def _take_order(own: socket.socket) -> dict[str, Any] | None:
    """Forks for each order; returns the order in the copy, and None when nobody is there to give any."""
    while True:
        message, rights, _, _ = socket.recv_fds(own, MAX_MESSAGE_BYTES, MAX_DESCRIPTORS)
        if not message:
            _reap(0)
            return None
        _reap(os.WNOHANG)
        pid = os.fork()
        if pid == 0:
            order: dict[str, Any] = json.loads(message)
            own.close()
            _place(dict(zip(order["descriptors"], rights, strict=True)))
            return order
        for one in rights:
            os.close(one)
        own.send(str(pid).encode())


def _reap(options: int) -> None:
    """Waits for the copies, or with WNOHANG takes only those that have ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, options)[0]:
            pass


def _place(descriptors: dict[int, int]) -> None:
    """Gives each descriptor its number, as in the process that has sent it."""
    # First out of the way: a number that is wanted may be one that has come.
    above = max(descriptors) + 1
    aside = {}
    for number, descriptor in descriptors.items():
        aside[number] = fcntl.fcntl(descriptor, fcntl.F_DUPFD, above)
        os.close(descriptor)
    for number, descriptor in aside.items():
        os.dup2(descriptor, number, inheritable=True)
        os.close(descriptor)


def main() -> None:
    own = socket.socket(fileno=int(sys.argv[1]))
    for name in sys.argv[2:]:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    order = _take_order(own)
    if order is None:
        return
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    sys.argv = order["arguments"]
    # It runs as `__main__`, and what was imported by its name would be a second one.
    sys.modules.pop(sys.argv[0], None)
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
