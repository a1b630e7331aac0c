"""Tells where the values of the settings were written; `load` keeps it with them, `listing` shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Source = Literal["default", "file", "environment", "start"]

SET_BY_UP = "SOUNDSTAGE_SET_BY_UP"
"""Names, by commas, of the variables that `soundstage up` has added for its processes: ports that it has
taken, and what follows from its options. Nobody has written those.
"""


@dataclass(frozen=True, slots=True)
class SettingOrigins:
    """`chosen` is the file that was named, None for the default one. `file` is the one that is read, whether
    it exists or not. `written` are the paths in it, `variables` the names of variables by path.
    """

    chosen: Path | None = None
    file: Path | None = None
    written: frozenset[str] = frozenset()
    variables: Mapping[str, str] = field(default_factory=dict)
    set_by_up: frozenset[str] = frozenset()

    def source_of(self, path: str) -> Source:
        """Returns what decided the value at a path: the last of default, file and environment."""
        variable = self.variables.get(path) or self._inside(path)
        if variable is not None and variable not in self.set_by_up:
            return "environment"
        if path in self.written:
            return "file"
        return "default" if variable is None else "start"

    def _inside(self, path: str) -> str | None:
        """Returns a variable for one entry of a table, such as one of the variables of an MCP server."""
        return next((name for known, name in self.variables.items() if known.startswith(f"{path}.")), None)
