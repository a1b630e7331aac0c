"""One lab of two machines for the whole room; those tests that break a lab for good make their own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "lab_fixture"))

from lab_machines import lab_names, labs  # noqa: F401

from lab.farm_in_a_box import Lab


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test that needs machines may have to make the Debian system, or to build Nomad."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(1800))


@pytest.fixture(scope="session")
def box(labs: Any) -> Lab:  # noqa: F811
    """`control` without cards, `gpu-1` with a Turing card, an L4 and the graphics of a BMC."""
    created: Lab = labs("box", ["control", "gpu-1"], "0,rtx-2080-super+l4+bmc")
    return created


@pytest.fixture
def healed(box: Lab) -> Any:
    """The box, whole again afterwards, whatever the test did to it."""
    yield box
    for machine in box.plan.machines:
        box.clear_fault(machine.name)
        box.power_on(machine.name)


@pytest.fixture(scope="session")
def says(box: Lab) -> Callable[..., str]:
    """`says("gpu-1", "date", "+%s")`: what a command prints on a machine of the box; it must end well."""

    def run(machine: str, *command: str) -> str:
        done = box.run(machine, list(command))
        assert done.returncode == 0, f"{command} on {machine}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    return run
