"""The rooms of tests, and in which environment each runs; for scripts/lanes.py.

A room is one run of pytest over one folder, or `check`, the format, lint and types. Rooms that start the
machines of labs and emulated machines never run beside each other, because they take most of the memory;
all others may run beside any. Each group begins with what takes longest, so that the lanes end at about the
same time. Rooms that compute for minutes have a lower priority, so that servers of others answer in time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

CONTROL = ".venv/bin/pytest"
WORKER = "avatar/.venv/bin/pytest"
PLUGIN = "farm/device_plugin/.venv/bin/pytest"
# Made by scripts/torch_environment, outside of the checkout.
TORCH = "torch"


@dataclass(frozen=True, slots=True)
class Room:
    """`folder`: of its tests; `marks`: on top of those of the whole run; `whole_machine`: see above; `nice`:
    added to the niceness of the run; `files`: of the folder, empty for all of them but `other_rooms`."""

    name: str
    folder: str
    pytest: str = CONTROL
    marks: str = ""
    whole_machine: bool = False
    nice: int = 0
    environment: tuple[tuple[str, str], ...] = ()
    files: tuple[str, ...] = ()
    other_rooms: tuple[str, ...] = ()

    @property
    def paths(self) -> list[str]:
        """What pytest is called with."""
        ignored = [f"--ignore={self.folder}/{name}" for name in self.other_rooms]
        return [f"{self.folder}/{name}" for name in self.files] or [self.folder, *ignored]

    def has(self, test: str) -> bool:
        """Returns whether it runs the tests of this file, named from the root of the checkout."""
        folder, _, name = test.rpartition("/")
        below = self.folder and f"{folder}/".startswith(f"{self.folder}/")
        return bool(below) and (name in self.files if self.files else name not in self.other_rooms)


def _machine(name: str) -> Room:
    return Room(name, f"tests/{name}", whole_machine=True)


def _other(name: str, pytest: str = CONTROL, marks: str = "", nice: int = 0) -> Room:
    return Room(name, f"tests/{name}", pytest, marks, nice=nice)


# Of rooms that compute and wait for nothing, in tests of a few seconds each.
COMPUTING = 5
# Of the tests of the page, which wait for one server: those that make videos, so that two lanes share them.
FILMS = tuple(
    f"test_{name}.py"
    for name in (
        *("assets", "brands", "canvas", "dialogue", "dialogues_on_the_page", "editor", "first_steps"),
        *("import_dialog", "journeys", "listen", "new_presenter", "overlays", "story_on_the_page"),
        *("tutorial_film", "two_windows", "versions", "voices", "watch"),
    )
)
# No tests: scripts/check.
CHECK = Room("check", "", nice=COMPUTING)
ROOMS = (
    CHECK,
    *map(_machine, ("ansible", "pxe", "lab")),
    # Those that compute and those that wait by turns.
    Room("films_on_the_page", "tests/ui", files=FILMS),
    Room("ui", "tests/ui", other_rooms=FILMS),
    *map(_other, ("agent", "studio", "e2e", "app", "provisioning_api", "farm")),
    _other("avatar", WORKER, "not torch", nice=COMPUTING),
    _other("node_health"),
    # Tests marked `torch` have an environment of their own: `make test` uses it when it is there, the others
    # make it. All lanes want the cores: threads of OpenMP that wait for each other sleep, and do not spin.
    Room(
        "torch",
        "tests/avatar",
        TORCH,
        "torch",
        environment=(("PYTHONPATH", "avatar/src"), ("OMP_WAIT_POLICY", "PASSIVE")),
    ),
    *map(_other, ("jobs", "policy", "project")),
    _other("device_plugin", PLUGIN),
    *map(_other, ("soundstage", "tools", "gpu_role", "monitoring")),
)


def rooms_of(checkout: Path, names: list[str], *, with_check: bool) -> list[Room]:
    """Returns the rooms that are there, or of them those named as ROOM or ROOM:FILE.

    Raises ValueError for a name that no room has, and for a file that is not there.
    """
    there = [room for room in ROOMS if (checkout / (room.folder or "scripts/check")).exists()]
    files: dict[str, list[str]] = {}
    for name in names:
        room, _, file = name.partition(":")
        files.setdefault(room, []).append(file)
    unknown = sorted(set(files) - {room.name for room in there})
    if unknown:
        known = " ".join(room.name for room in there)
        raise ValueError(f"No room is called {' or '.join(unknown)}; there are: {known}")
    if names:
        return [_some_files(checkout, room, files[room.name]) for room in there if room.name in files]
    return [room for room in there if with_check or room is not CHECK]


def _some_files(checkout: Path, room: Room, files: list[str]) -> Room:
    """Returns the room with these files of it alone; a name that is empty stands for all."""
    if "" in files:
        return room
    missing = [file for file in files if not (checkout / room.folder / file).exists()]
    if missing or room is CHECK:
        raise ValueError(f"{room.name} has no {' or '.join(missing or files)} in {room.folder or 'it'}")
    return replace(room, files=tuple(files), other_rooms=())
