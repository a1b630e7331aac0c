"""Checks that a dry run passes on a machine whose package lists were never fetched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = Path(__file__).parents[2] / "ansible" / "roles"


def package_tasks(tasks: list[dict[str, Any]], outer: str = "") -> Iterator[tuple[str, str]]:
    """Yield each apt task's name with its conditions, those of the blocks around it included."""
    for task in tasks:
        conditions = f"{outer} {task.get('when', '')}"
        if "ansible.builtin.apt" in task:
            yield task["name"], conditions
        for part in ("block", "rescue", "always"):
            yield from package_tasks(task.get(part, []), conditions)


FILES = [
    path for path in sorted(ROLES.glob("*/tasks/*.yml")) if "ansible.builtin.apt:" in path.read_text("utf-8")
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parents[1].name}-{path.stem}")
def test_a_dry_run_asks_apt_for_nothing(path: Path) -> None:
    """A dry run fetches no lists, and apt refuses packages that it does not know."""
    found = list(package_tasks(yaml.safe_load(path.read_text("utf-8"))))
    assert found
    asking = [name for name, conditions in found if "not ansible_check_mode" not in conditions]
    assert asking == []
