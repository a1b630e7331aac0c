"""A prepared portrait of a drawn person, so that most photo tests need neither a tracker nor a real face."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from avatar.engines.base import Layer
from avatar.engines.mesh import PhotoEngine, open_photo
from avatar.engines.mesh.stage import Stage, set_stage
from avatar.face.pictures import read_picture
from avatar.face.portrait import Portrait, load_portrait
from avatar.spec import MediaRef, PhotoFace
from avatar.tracks import CHANNELS

sys.path.insert(0, str(Path(__file__).parent))  # golden_poses

FIXTURES = Path(__file__).parent / "fixtures"
SIZE = (640, 360)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    cv2.setNumThreads(1)


@pytest.fixture(scope="session")
def mesh_face() -> PhotoFace:
    return PhotoFace(
        image=MediaRef(path=str(FIXTURES / "drawn.png")), portrait=MediaRef(path=str(FIXTURES / "drawn.json"))
    )


@pytest.fixture(scope="session")
def mesh_portrait() -> Portrait:
    return load_portrait(FIXTURES / "drawn.json")


@pytest.fixture(scope="session")
def mesh_stage(mesh_portrait: Portrait) -> Stage:
    return set_stage(read_picture(FIXTURES / "drawn.png"), mesh_portrait, SIZE)


@pytest.fixture(scope="session")
def open_drawn(mesh_face: PhotoFace, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., PhotoEngine]:
    """Opens the drawn portrait: `open_drawn(size=..., alpha=..., cache=...)`."""
    shared = tmp_path_factory.mktemp("cache")

    def open_face(
        size: tuple[int, int] = SIZE, alpha: bool = False, cache: Path = shared, face: PhotoFace = mesh_face
    ) -> PhotoEngine:
        return open_photo(face, size, 25, resolve=lambda ref: Path(ref.path or ""), cache=cache, alpha=alpha)

    return open_face


@pytest.fixture(scope="session")
def engine(open_drawn: Callable[..., PhotoEngine]) -> PhotoEngine:
    return open_drawn()


@pytest.fixture(scope="session")
def pose() -> Callable[..., dict[str, float]]:
    """All channels at rest but the given ones: `pose(jaw=0.5, raise_=0.2)`."""

    def pose_channels(**channels: float) -> dict[str, float]:
        named = {name.rstrip("_"): value for name, value in channels.items()}
        assert set(named) <= set(CHANNELS)
        return dict.fromkeys(CHANNELS, 0.0) | named

    return pose_channels


@pytest.fixture(scope="session")
def whole() -> Callable[[PhotoEngine, Layer], np.ndarray]:
    """A layer over its engine's base: the full picture."""

    def composite(engine: PhotoEngine, layer: Layer) -> np.ndarray:
        if engine.base is None:
            return layer.pixels
        picture = engine.base.copy()
        height, width = layer.pixels.shape[:2]
        picture[layer.y : layer.y + height, layer.x : layer.x + width] = layer.pixels
        return picture

    return composite
