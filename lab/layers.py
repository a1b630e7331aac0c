"""Baked layers: what was installed once, put over the root tree of later labs (called by `bake` and `up`).

A layer belongs to the root tree that it was made on: what dpkg knows of the one must be true of the other.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from lab.paths import cache_folder
from soundstage.errors import Invalid, NotFound

_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")


def layer_folder(root_tree: str, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise Invalid(
            "lab.layer_name_invalid",
            f"“{name}” cannot be the name of a layer.",
            "Use lower-case letters, digits and dashes, a letter first; at most 41 characters.",
        )
    return cache_folder() / "layers" / root_tree / name


def require_layers(root_tree: str, names: tuple[str, ...]) -> None:
    """NotFound for a layer that was never baked, or on another root tree."""
    for name in names:
        if not layer_folder(root_tree, name).exists():
            raise NotFound(
                "lab.no_such_layer",
                f"There is no baked layer “{name}” for the present Debian system.",
                f"`soundstage lab bake {name} -- COMMAND` makes it.",
            )


def is_in_use(layer: Path) -> bool:
    """Returns whether a lab that is up stands on it: the files below a mounted overlay must not change."""
    return any(f"{layer}{after}" in Path("/proc/self/mounts").read_text() for after in (":", ",", " "))


def forget_old_layers(root_tree: str, prefix: str, *, keep: int) -> list[str]:
    """Of the layers whose names begin so, only the `keep` newest stay, and those in use; the names that went.

    For layers whose names say what they hold: with each change of that a new one is baked.
    """
    found = layer_folder(root_tree, prefix.rstrip("-")).parent.glob(f"{prefix}*")
    old = sorted(found, key=lambda layer: layer.stat().st_mtime, reverse=True)[keep:]
    gone = [layer for layer in old if not is_in_use(layer)]
    for layer in gone:
        shutil.rmtree(layer, ignore_errors=True)
    return [layer.name for layer in gone]
