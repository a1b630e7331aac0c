"""Makes the Debian tree of an image by mmdebstrap, once per recipe; called by the build."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pxe.image.places import cache_folder, made_once
from pxe.image.programs import run_tool
from pxe.image.recipe import SUITE, Mirror, Recipe
from soundstage.errors import Forbidden

# A fixed moment for everything that asks for one, so that equal packages make equal trees.
EPOCH = "1767225600"
_DPKG_OPTIONS = (
    "force-unsafe-io",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/locale/*",
)


def debian_tree(recipe: Recipe, mirror: Mirror, say: Callable[[str], None]) -> Path:
    """The folder; made first when it is not there (about a minute)."""
    target = cache_folder() / "trees" / recipe.tree_key
    if target.exists():
        return target
    if os.geteuid() != 0:
        raise Forbidden(
            "image.needs_root",
            "The files of an image belong to root, and only root can make them so.",
            "Run the same command with sudo.",
        )
    say("Making the Debian tree (about a minute, once per recipe)")
    return made_once(target, lambda staging: _debootstrap(staging, recipe, mirror))


def _debootstrap(target: Path, recipe: Recipe, mirror: Mirror) -> None:
    options = [f"--dpkgopt={one}" for one in _DPKG_OPTIONS] + ['--aptopt=Acquire::Languages "none"']
    if mirror.http_proxy:
        options.append(f'--aptopt=Acquire::http::Proxy "{mirror.http_proxy}"')
    run_tool(
        [
            *("mmdebstrap", "--quiet", "--mode=root", "--format=directory", "--variant=minbase"),
            f"--include={','.join(recipe.all_packages)}",
            *options,
            *(SUITE, target),
            f"deb {mirror.main} {SUITE} main",
            f"deb {mirror.main} {SUITE}-updates main",
            f"deb {mirror.security} {SUITE}-security main",
        ],
        doing="Making the Debian tree",
        environment={"SOURCE_DATE_EPOCH": EPOCH},
        timeout_s=1800,
    )
