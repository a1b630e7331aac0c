"""Keeps what was found last: costly checks need not run each time, and failures in a row can be counted."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from checks import Outcome
from problems import Problem


@dataclass(frozen=True)
class Memory:
    """`failures`: looks in a row that found problems. `lifted`: the last drain that we have lifted."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    failures: int = 0
    lifted: str = ""


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """Wait until no other process works with this memory."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def recall(file: Path) -> Memory:
    """Returns the stored state; nothing without a file, or for one of another version."""
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        outcomes = {
            one["check"]: Outcome(
                one["check"], float(one["at_s"]), tuple(Problem(**problem) for problem in one["problems"])
            )
            for one in stored["outcomes"]
        }
        return Memory(outcomes, int(stored["failures"]), str(stored["lifted"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Memory()


def keep(file: Path, memory: Memory) -> None:
    """Write it down whole or not at all."""
    stored = {
        "failures": memory.failures,
        "lifted": memory.lifted,
        "outcomes": [asdict(one) for one in memory.outcomes.values()],
    }
    text = json.dumps(stored, indent=1)
    descriptor, staging = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as target:
        target.write(text + "\n")
    Path(staging).chmod(0o644)
    Path(staging).replace(file)
