"""Each module can be the first that is imported: none needs itself, by whatever way round."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import grimp

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
