"""Prints what each room of a test run took, and writes it as JSON; called by scripts/lanes.py."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from long_runs import commit_of

SLOWEST = 3
# Not tracked; `make clean` takes it away.
DEFAULT_FILE = Path("build/test_times.json")


@dataclass(frozen=True, slots=True)
class TestTime:
    test: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RoomTimes:
    """Holds how long a room took, from its start to its end, what it used of the processor, and its slowest
    tests.
    """

    room: str
    tests: int
    seconds: float
    processor_seconds: float
    slowest: tuple[TestTime, ...]


def read_room(room: str, seconds: float, processor_seconds: float, report: Path) -> RoomTimes:
    """Returns the times of a room; one without a whole report has no tests."""
    try:
        cases = list(ET.parse(report).getroot().iter("testcase"))  # noqa: S314 - our own file
    except (FileNotFoundError, ET.ParseError):
        cases = []
    times = [TestTime(case.get("name", ""), round(float(case.get("time", 0)), 1)) for case in cases]
    slowest = sorted(times, key=lambda time: -time.seconds)[:SLOWEST]
    return RoomTimes(room, len(cases), round(seconds, 1), round(processor_seconds, 1), tuple(slowest))


def table(rooms: Iterable[RoomTimes]) -> list[str]:
    """Returns a line per room, the longest first."""
    lines = [f"  {'room':16} {'tests':>6} {'seconds':>8} {'processor':>9}  slowest"]
    for room in sorted(rooms, key=lambda room: -room.seconds):
        slowest = ", ".join(f"{one.test} {one.seconds:.1f}" for one in room.slowest)
        figures = f"{room.tests or '':>6} {room.seconds:8.1f} {room.processor_seconds:9.1f}"
        lines.append(f"  {room.room:16} {figures}  {slowest}".rstrip())
    return lines


def write_times(
    rooms: Iterable[RoomTimes], file: Path, checkout: Path, *, lanes: int, seconds: float
) -> None:
    """Writes the times of a whole run, with its date and commit."""
    file.parent.mkdir(parents=True, exist_ok=True)
    run = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit_of(checkout),
        "lanes": lanes,
        "seconds": round(seconds, 1),
        "rooms": [asdict(room) for room in rooms],
    }
    file.write_text(f"{json.dumps(run, indent=1)}\n", encoding="utf-8")
