"""Small networks with seeded weights, and a synthetic speaker."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "parity")]

from synthetic_speaker import Clips, DotTracker  # noqa: E402


@pytest.fixture
def clips(tmp_path: Path) -> Clips:
    return Clips(tmp_path)


@pytest.fixture(scope="session")
def networks() -> Any:
    """Random ones of reduced size, in float32 on the processor."""
    pytest.importorskip("torch")
    import latentsync_cases as cases
    from avatar.engines.latentsync.loading import Networks

    return Networks(cases.our_unet(), cases.our_whisper(), cases.our_vae())


@pytest.fixture
def small_engine(networks: Any) -> Callable[..., Any]:
    """LatentSync on them, at 64 pixels and two steps."""
    import torch
    from avatar.engines.latentsync.clip import Settings
    from avatar.engines.latentsync.engine import LatentSync
    from avatar.engines.latentsync.memory import Plan

    def make(**settings: Any) -> Any:
        plan = Plan(torch.device("cpu"), torch.float32, split=False, faces=4)
        chosen = Settings(**{"steps": 2, "side_px": 64, "overlap": 4} | settings)
        return LatentSync(networks, plan, chosen, tracker=DotTracker)

    return make


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Of networks this small a second one mostly waits, spinning, which slows a busy machine down."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
