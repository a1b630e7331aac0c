"""Where images and what they are made of are kept, outside of the checkout and keyed by content."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    """May be deleted at any time; everything in it can be made anew."""
    chosen = os.environ.get("SOUNDSTAGE_IMAGE_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "soundstage" / "images"


def made_once(target: Path, make: Callable[[Path], None]) -> Path:
    """`target`, made by `make(staging folder)` when it is not there; one maker at a time, whole or not at
    all.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with _alone(target.parent / f".{target.name}.lock"):
        if not target.exists():
            staging = Path(tempfile.mkdtemp(prefix=f".making-{target.name}-", dir=target.parent))
            try:
                make(staging)
                staging.chmod(0o755)
                staging.rename(target)
            except BaseException:
                shutil.rmtree(staging, ignore_errors=True)
                raise
    return target


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
