"""One heap for all threads of a server process: what one has freed, another uses; called at its start."""

from __future__ import annotations

import ctypes
import os

_M_ARENA_MAX = -8
"""mallopt(3). glibc gives threads heaps of their own, eight a core, and keeps what was freed in them."""


def share_one_heap() -> bool:
    """Whether it worked: only glibc has such heaps. Who has set `MALLOC_ARENA_MAX` has chosen already.

    Each connection to SQLite is a thread, and its cache of pages, up to 2 MiB, is emptied by each commit of
    another one: in heaps of their own, fifteen of them stay as holes. Python's threads hold one lock anyway.
    """
    if os.environ.get("MALLOC_ARENA_MAX"):
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1))
    except (AttributeError, OSError):
        return False
