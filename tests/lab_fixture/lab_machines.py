"""Labs for tests: real Debian machines, taken down at the end whatever happens.

To use it, a room's conftest says

    sys.path.insert(0, str(Path(__file__).parents[1] / "lab_fixture"))
    from lab_machines import labs  # a session fixture that makes labs and takes them down

and a fixture or test says `labs("farm", ["control", "gpu-1"], "0,l4")`. It needs root and the lab's programs;
without them the test is skipped, and says what to do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from lab.cards.catalogue import read_gpus
from lab.farm_in_a_box import Lab, all_labs
from lab.plan import machines_named
from lab.requirements import what_is_missing

_PREFIX = "test-"


@pytest.fixture(scope="session")
def lab_names() -> Iterator[Callable[[str], Lab]]:
    """Labs that are not up yet: `lab_names("cli")`. Whatever becomes of them, they are down at the end."""
    missing = what_is_missing()
    if missing:
        pytest.skip(f"{missing} Run `sudo make test`.")
    _clear_away_what_killed_tests_left()
    made: list[Lab] = []

    def make(name: str) -> Lab:
        made.append(Lab(f"{_PREFIX}{os.getpid()}-{name}"))
        return made[-1]

    yield make
    for lab in made:
        lab.down()


@pytest.fixture(scope="session")
def labs(lab_names: Callable[[str], Lab]) -> Callable[..., Lab]:
    """Makes labs that are up: `labs(name, machines, gpus, cluster=True)`."""

    def make(name: str, machines: list[str], gpus: str = "", *, cluster: bool = False) -> Lab:
        lab = lab_names(name)
        plans = machines_named(machines, read_gpus(gpus) if gpus else None, memory_mib=1024, disk_gib=4)
        (lab.up_cluster if cluster else lab.up)(plans)
        return lab

    return make


def _clear_away_what_killed_tests_left() -> None:
    for name in all_labs():
        if name.startswith(_PREFIX):
            with suppress(ValueError, ProcessLookupError):
                os.kill(int(name.split("-")[1]), 0)
                continue
            Lab(name).down()
