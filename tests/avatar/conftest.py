"""Lets every avatar test import the clip maker as `clipmaker`; skips what watches faces where nothing can;
gives tests of networks the devices that they are for.
"""

from __future__ import annotations

import gc
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

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


@pytest.fixture(autouse=True)
def roomy_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports a roomy disk: caches of unfinished work read the free space, and tests run on full ones too."""
    room = SimpleNamespace(total=1 << 40, used=0, free=1 << 40)
    monkeypatch.setattr("avatar.engines.resume_cache.shutil", SimpleNamespace(disk_usage=lambda _: room))


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A test that takes it is two: on the processor, where a card that is there is not seen, and on a card.

    The second one's body has run on the first, and what it holds a card to is the same but for bounds.
    """
    torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
    if request.param == "cpu":
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        yield "cpu"
        return
    if not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA card: `make test-gpu`")
    yield "cuda"
    torch.cuda.set_per_process_memory_fraction(1.0, 0)
    gc.collect()
    torch.cuda.empty_cache()
