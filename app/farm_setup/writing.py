"""Compares the files of an inventory with a folder, and writes those that may be written."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from soundstage.errors import Conflict


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file: `replace` is a file that is there with other content."""

    path: Path
    state: Literal["create", "same", "replace"]
    new: str
    diff: str


def compare_files(folder: Path, files: Mapping[str, str]) -> list[FileChange]:
    """Returns a change for each file. Raises Conflict where a file cannot be read as text."""
    return [_compare(folder / name, text) for name, text in files.items()]


def write_files(changes: Sequence[FileChange], *, force: bool) -> None:
    """Writes new files, and others only with `force`. Raises Conflict before anything is written."""
    replaced = [str(change.path) for change in changes if change.state == "replace"]
    if replaced and not force:
        raise Conflict(
            "init.files_exist",
            f"Nothing was written: {', '.join(replaced)} would change.",
            "Look at the differences above. `--force` replaces the files; another folder leaves them.",
        )
    for change in changes:
        if change.state != "same":
            change.path.parent.mkdir(parents=True, exist_ok=True)
            change.path.write_text(change.new, encoding="utf-8")


def _compare(path: Path, new: str) -> FileChange:
    if not path.exists():
        return FileChange(path, "create", new, "")
    try:
        old = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        hint = "Choose another folder."
        raise Conflict("init.file_unreadable", f"{path} cannot be read as text: {error}.", hint) from error
    if old == new:
        return FileChange(path, "same", new, "")
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), str(path), f"{path} (new)", lineterm="")
    return FileChange(path, "replace", new, "\n".join(lines))
