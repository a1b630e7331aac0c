"""Each module can be the first that is imported: none needs itself, by whatever way round."""

from __future__ import annotations

import subprocess
import sys
from graphlib import CycleError, TopologicalSorter

import grimp
import pytest

ROOMS = (
    "soundstage",
    "policy",
    "avatar",
    "farm",
    "pxe",
    "studio",
    "provisioning_api",
    "agent",
    "lab",
    "app",
)


def needed() -> dict[str, set[str]]:
    """What Python runs before a module: what it imports, and the packages around that."""
    graph = grimp.build_graph(*ROOMS, exclude_type_checking_imports=True)
    found: dict[str, set[str]] = {}
    for module in graph.modules:
        found[module] = set()
        for imported in graph.find_modules_directly_imported_by(module):
            around = [imported[:place] for place, sign in enumerate(imported) if sign == "."]
            # What is inside of a package runs after its beginning.
            found[module] |= {imported, *(one for one in around if not f"{module}.".startswith(f"{one}."))}
    return found


def test_no_module_needs_itself() -> None:
    try:
        order = list(TopologicalSorter(needed()).static_order())
    except CycleError as error:
        raise AssertionError(" → ".join(error.args[1])) from error
    assert "agent.writing.scenes" in order


@pytest.mark.parametrize(
    ("module", "unneeded"),
    [
        # What a server needs for its first MCP request alone took a fifth of its start.
        ("app.server.studio_server", {"mcp", "mcp_types"}),
        # The supervisor only starts processes.
        (
            "app.cli.installation.serving",
            {"fastapi", "sqlalchemy", "policy", "agent", "studio", "provisioning_api"},
        ),
    ],
)
def test_a_program_starts_without_what_it_may_never_need(module: str, unneeded: set[str]) -> None:
    code = f"import sys, {module}; print(*{{one.partition('.')[0] for one in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & unneeded == set()
