"""Baked layers: what was installed once, put over the root tree of later labs (called by `bake` and `up`)."""

from __future__ import annotations

from pathlib import Path

from lab.places import cache_folder


def layer_folder(key: str) -> Path:
    return cache_folder() / "layers" / key
