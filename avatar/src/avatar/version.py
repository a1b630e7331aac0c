"""Identifies the worker that makes the frames: its release and a fingerprint of its files; segment keys hold
it.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from avatar import __version__


@cache
def worker_version() -> str:
    """`<release>+<12 hex digits>` of SHA-256 over all files of this package, in order of their names.

    A release number alone would let a changed engine reuse segments that an older one drew.
    """
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{__version__}+{digest.hexdigest()[:12]}"
