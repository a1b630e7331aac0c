"""Finds all tools of the agent: every `@tool` function in a module of this package."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages

from agent.tools.record import Tool
from agent.tools.toolset import AnyTool

# What tools are made of and run by; it is imported while other rooms of the agent are being imported.
_MACHINERY = frozenset({"catalogue", "plan", "record", "services", "toolset", "wrappers"})
_FOLDERS = ("renders", "personas", "projects", "machines", "cluster")
"""Help lists their tools first, in this order; then those of the other modules by name."""


def _modules() -> list[str]:
    """Returns the modules that may have tools, by their name below `agent.tools`."""
    package = import_module("agent.tools")
    found = (one.name.removeprefix("agent.tools.") for one in walk_packages(package.__path__, "agent.tools."))
    return [name for name in found if name not in _MACHINERY]


def _place(module: str) -> tuple[int, bool, str]:
    folder, _, name = module.rpartition(".")
    return _FOLDERS.index(folder) if folder in _FOLDERS else len(_FOLDERS), name != "tools", module


def _found() -> Iterator[AnyTool]:
    for name in sorted(_modules(), key=_place):
        module = import_module(f"agent.tools.{name}")
        for value in vars(module).values():
            if isinstance(value, Tool) and value.run.__module__ == module.__name__:
                yield value


ALL_TOOLS: tuple[AnyTool, ...] = tuple(_found())
