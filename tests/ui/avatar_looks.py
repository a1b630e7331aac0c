"""Measures in pictures of an avatar of `vrm_files` how far its mouth is open, and whether its eyes are."""

from __future__ import annotations

import io
from collections.abc import Callable

from PIL import Image
from playwright.sync_api import Locator

Box = tuple[float, float, float, float]
MOUTH: Box = (0.38, 0.42, 0.62, 0.66)
EYES: Box = (0.37, 0.28, 0.63, 0.43)
BODY: Box = (0.3, 0.85, 0.7, 1.0)


class Looks:
    """Each question takes a new picture; parts are fractions of its sides."""

    def __init__(self, canvas: Locator) -> None:
        self._canvas = canvas

    def mouth(self) -> float:
        """Returns the share of the lower face that is as red as the mouth."""
        return self._share(MOUTH, lambda r, g, b: r > 60 and r > 1.9 * g and r > 1.5 * b)

    def eyes(self) -> float:
        """Returns the share of the upper face that is as dark blue as the pupils."""
        return self._share(EYES, lambda r, g, b: b > 1.15 * r and r < 110)

    def body(self) -> bytes:
        """Returns the pixels of the shirt."""
        return self._crop(BODY).tobytes()

    def _share(self, box: Box, is_it: Callable[[int, int, int], bool]) -> float:
        crop = self._crop(box)
        data = crop.tobytes()
        pixels = zip(data[::3], data[1::3], data[2::3], strict=True)
        return sum(is_it(*one) for one in pixels) / (crop.width * crop.height)

    def _crop(self, box: Box) -> Image.Image:
        picture = Image.open(io.BytesIO(self._canvas.screenshot())).convert("RGB")
        width, height = picture.size
        left, top, right, bottom = box
        return picture.crop(
            (round(left * width), round(top * height), round(right * width), round(bottom * height))
        )
