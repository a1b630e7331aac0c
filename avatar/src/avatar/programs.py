"""Finds the speech programs of this machine; loads none of the worker's packages."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from functools import cache


def espeak_version() -> str | None:
    """`1.51`; None where espeak-ng is not installed or does not answer."""
    program = shutil.which("espeak-ng")
    if program is None:
        return None
    version = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False)
    found = re.search(r"\d+(\.\d+)+", version.stdout)
    return found[0] if found else None


@cache
def flite_is_installed() -> bool:
    """Returns whether the library of flite is on this machine."""
    try:
        ctypes.CDLL("libflite.so.1")
    except OSError:
        return False
    return True
