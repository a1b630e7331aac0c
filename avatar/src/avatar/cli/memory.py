"""Tells the C library to keep a frame's memory for the next one; called once, before any thread starts."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Parameters of glibc's mallopt(3)."""
_KEEP_BYTES = 1 << 30


def keep_freed_memory() -> None:
    """Stop glibc from handing picture-sized blocks back to the kernel after each use.

    Every operation on a 1080p picture takes megabytes and frees them. Given back and taken again, each page
    is cleared by the kernel: seventeen times as many page faults, and a sixth of all CPU time where alpha is
    blended. One arena, because freed blocks are then shared by all drawing threads. Other C libraries are
    left alone.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_M_MMAP_THRESHOLD, _KEEP_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _KEEP_BYTES)
    mallopt(_M_ARENA_MAX, 1)
