"""Names the files that a worker stores of unfinished work for a second run, and deletes them.

Parts lie in one folder of the cache, named by what they follow from; beside them, for work that was given a
name, a list of its parts. The list outlives the worker, its tries and the process that started it.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

VARIABLE = "AVATAR_UNFINISHED"
"""Environment variable with the name of the work: the same for all tries, and of no other work."""
PART_SUFFIX, LIST_SUFFIX = ".part", ".parts"


def resume_folder(cache: Path) -> Path:
    return cache / "unfinished"


def list_of(cache: Path, work: str) -> Path:
    """Returns where the names of the parts of that work are written down, one a line."""
    name = hashlib.blake2b(work.encode(), digest_size=20).hexdigest()
    return resume_folder(cache) / (name + LIST_SUFFIX)


def forget_listed(listed: Path) -> int:
    """Removes the parts that the list names, halves of them too, and the list; returns how many files went.
    One that a worker of other work uses as well is made again there, if that is stopped.
    """
    try:
        names = set(listed.read_text(encoding="ascii", errors="replace").split())
    except OSError:
        return 0
    gone = 0
    for entry in [*os.scandir(listed.parent)]:
        # `<name>.part`, and `.<name>.<process>` while it is written.
        if entry.name.removeprefix(".").partition(".")[0] in names and entry.path != str(listed):
            Path(entry.path).unlink(missing_ok=True)
            gone += 1
    # Last: after a crash in between there is still a list.
    listed.unlink(missing_ok=True)
    return gone


def forget_work(cache: Path, work: str) -> int:
    """For the scheduler, once no worker continues that work. 0 for no name."""
    return forget_listed(list_of(cache, work)) if work else 0
