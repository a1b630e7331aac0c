"""Lets every avatar test import the clip maker as `clipmaker`; skips what watches faces where nothing can."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
WATCHING = (HERE / "sync", HERE / "motion", HERE / "measure" / "test_watching_clips.py")

sys.path.insert(0, str(HERE / "measure"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """MediaPipe's wheels end at Python 3.12: without it nothing can watch a rendered face again. PyTorch has
    an environment of its own.
    """
    if importlib.util.find_spec("torch") is None:
        without = pytest.mark.skip(reason="needs PyTorch: scripts/torch_environment, then `make test`")
        for item in items:
            if item.get_closest_marker("torch") is not None:
                item.add_marker(without)
    if importlib.util.find_spec("mediapipe") is not None:
        return
    skip = pytest.mark.skip(reason="needs the extra `face`: Python 3.11 or 3.12, then `make test`")
    for item in items:
        if any(item.path == place or place in item.path.parents for place in WATCHING):
            item.add_marker(skip)
