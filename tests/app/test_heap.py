"""The server's threads share one heap, so that what SQLite's connections free is used again by others."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

# In a process of its own: heaps are there for good. The server ends at once: its settings are missing.
PROGRAM = """
import ctypes, sys, tempfile, threading
from app import server

sys.argv = ["server", "--socket", "0", "--config-file", "/there/is/none.toml"]
assert server.main() == 1
together = threading.Barrier(8)
def work():
    together.wait()
    kept = [bytes(5000 + place) for place in range(200)]
    together.wait()
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
with tempfile.NamedTemporaryFile() as told:
    file = ctypes.c_void_p(libc.fopen(told.name.encode(), b"w"))
    libc.malloc_info(0, file)
    libc.fclose(file)
    print("heaps", told.read().count(b"<heap "))
"""


def heaps(**environment: str) -> int:
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout.split()[-1])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has a heap for each thread")
def test_threads_of_the_server_share_one_heap() -> None:
    assert heaps() == 1


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has a heap for each thread")
def test_who_has_chosen_otherwise_is_heard() -> None:
    assert heaps(MALLOC_ARENA_MAX="4") > 1
