"""Finds the cache of images and their parts, outside of the checkout and keyed by content."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """May be deleted at any time; everything in it can be made anew."""
    chosen = os.environ.get("SOUNDSTAGE_IMAGE_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "soundstage" / "images"
