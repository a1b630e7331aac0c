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
BLINKS = """(drawn, [left, top, right, bottom, withinMs]) => new Promise((done) => {
  const copy = Object.assign(document.createElement("canvas"), { width: 96, height: 56 });
  const context = copy.getContext("2d", { willReadFrequently: true });
  const [x, y] = [left * drawn.width, top * drawn.height];
  const [width, height] = [(right - left) * drawn.width, (bottom - top) * drawn.height];
  const endMs = performance.now() + withinMs;
  let most = 0, least = Infinity;
  const look = () => {
    // What was drawn is readable until the frame is shown; a frame without drawing is blank.
    context.clearRect(0, 0, 96, 56);
    context.drawImage(drawn, x, y, width, height, 0, 0, 96, 56);
    const { data } = context.getImageData(0, 0, 96, 56);
    let pupils = 0, opaque = 0;
    for (let at = 0; at < data.length; at += 4) {
      if (data[at + 3] > 200) opaque++;
      if (data[at + 3] > 200 && data[at + 2] > 1.15 * data[at] && data[at] < 110) pupils++;
    }
    if (opaque > 2000) [most, least] = [Math.max(most, pupils), Math.min(least, pupils)];
    if (most > 20 && least < 0.4 * most) done(true);
    else if (performance.now() > endMs) done(false);
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})"""
"""As `eyes`, in each frame."""


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

    def blinks(self, within_s: float) -> bool:
        """Returns whether the eyes are shut in one of the frames that the page draws, and open in another. A
        blink is shorter than the time between two screenshots.
        """
        shut_and_open: bool = self._canvas.evaluate(BLINKS, [*EYES, within_s * 1000])
        return shut_and_open

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
