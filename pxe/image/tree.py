"""Makes the Debian tree of an image by mmdebstrap, once per recipe; called by the build."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pxe.image.debian import Mirror, mmdebstrap
from pxe.image.folder_cache import build_once, cache_folder
from pxe.image.programs import run_tool
from pxe.image.recipe import Recipe
from soundstage.errors import Forbidden

# A fixed moment for everything that asks for one, so that equal packages make equal trees.
EPOCH = "1767225600"


def debian_tree(recipe: Recipe, mirror: Mirror, say: Callable[[str], None]) -> Path:
    """The folder; made first when it is not there (about a minute)."""
    target = cache_folder() / "trees" / recipe.tree_key
    if not target.exists() and os.geteuid() != 0:
        raise Forbidden(
            "image.needs_root",
            "The files of an image belong to root, and only root can make them so.",
            "Run the same command with sudo.",
        )

    def make(staging: Path) -> None:
        say("Making the Debian tree (about a minute, once per recipe)")
        run_tool(
            mmdebstrap(staging, recipe.all_packages, mirror),
            doing="Making the Debian tree",
            environment={"SOURCE_DATE_EPOCH": EPOCH},
            timeout_s=1800,
        )

    return build_once(target, make)
