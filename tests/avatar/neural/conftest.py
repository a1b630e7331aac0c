"""Small checkpoints on disk, a photo and a clip of a person, and specs that name the engines on networks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE)] + [str(HERE.parent / room) for room in ("latentsync", "liveportrait", "parity")]

AGREED = {"id": "c1", "person": "A. Person", "granted_at": "2026-01-31", "purpose": "tests"}


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with all weights of both engines, of small random networks."""
    pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
    from small_checkpoints import write_checkpoints

    return write_checkpoints(tmp_path_factory.mktemp("models"))


@pytest.fixture
def small_networks(checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process the engines take those weights."""
    from small_checkpoints import as_if_published

    monkeypatch.setenv("AVATAR_MODELS", str(checkpoints))
    as_if_published(monkeypatch)


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import cv2
    from skimage import data

    path = tmp_path_factory.mktemp("photo") / "portrait.png"
    cv2.imwrite(str(path), data.astronaut()[..., ::-1])
    return path


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody who moves their head for a second."""
    from clipmaker import Motion, make_clip

    motion = Motion(yaw_deg=6, pitch_deg=2, roll_deg=2, mouth_e=0.08)
    folder = tmp_path_factory.mktemp("clip")
    return make_clip(folder / "person.mp4", "astronaut", seconds=1.0, motion=motion).path


@pytest.fixture
def spec_of(photo: Path, clip: Path) -> Callable[..., dict[str, Any]]:
    """A spec of one short scene with this face."""

    def make(kind: str, engine: str, script: str = "Hello there.", **scene: Any) -> dict[str, Any]:
        media = {"image": {"path": str(photo)}} if kind == "photo" else {"video": {"path": str(clip)}}
        face = {"kind": kind, "engine": engine, "consent": AGREED, **media}
        whole = {"id": "one", "script": script, "face": face, "lead_in_ms": 80, "tail_ms": 120, **scene}
        return {"canvas": {"width": 320, "height": 180, "fps": 25}, "scenes": [whole]}

    return make


@pytest.fixture
def larger_mode(device: str) -> None:
    """On a small card `low` is what a run begins with, both engines are in turn, and nothing takes less."""
    from avatar.engines.card_memory import find_card
    from avatar.engines.card_mode import MOUTH, choose_mode

    if device == "cuda" and choose_mode(MOUTH, find_card()) == "low":
        pytest.skip("this card has less than 6500 MiB free: a larger one, then `make test-gpu`")
