"""Pictures over pictures: the shortcuts for opaque and empty columns give what blending every pixel gives."""

import numpy as np
import pytest
from avatar.compose.blend import Sprite, lay
from avatar.compose.layout import Rect

SIZE = (230, 120)


def alpha(kind: str) -> np.ndarray:
    width, height = SIZE
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    away = np.hypot(x - 110, y - 70)
    shapes = {
        "soft disc": 60 - away,
        "ring": 20 - np.abs(away - 40),
        "two people": np.maximum(30 - np.hypot(x - 50, y - 60), 24 - np.hypot(x - 180, y - 90)),
        "wall": np.full_like(away, 9.0),
        "nobody": np.full_like(away, -9.0),
    }
    return np.clip(128 + 40 * shapes[kind], 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", ["soft disc", "ring", "two people", "wall", "nobody"])
@pytest.mark.parametrize("at", [Rect(0, 0, 320, 240), Rect(40, 30, 100, 64)])
def test_what_is_laid_over_a_picture_is_mixed_by_its_alpha(kind: str, at: Rect) -> None:
    rng = np.random.default_rng(4)
    below = rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)
    colour = rng.integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    weight = alpha(kind)[..., None]
    expected = below.astype(float)
    inside = expected[25 : 25 + SIZE[1], 30 : 30 + SIZE[0]]
    inside[...] = colour * (weight / 255) + inside * (1 - weight / 255)

    patch = below[at.rows, at.columns].copy()
    lay(patch, at, Sprite(np.dstack([colour, weight]), 30, 25))
    assert np.abs(patch - expected[at.rows, at.columns]).max() <= 1.01
