"""Short video files whose every frame says which it is: number n is 8 * (n + 1) in most of its pixels."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from avatar.compose.colour import Planes


def shade(number: int) -> int:
    return 8 * number + 8


@pytest.fixture(scope="session")
def make_clip() -> Callable[..., Path]:
    """`times_ms` gives each frame its time, so the rate may vary."""

    def make(path: Path, times_ms: list[int], size: tuple[int, int] = (64, 48)) -> Path:
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=1000, options={"crf": "1"})
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            stream.time_base = Fraction(1, 1000)
            noise = np.random.default_rng(1)
            for number, ms in enumerate(times_ms):
                picture = np.full((size[1], size[0], 3), shade(number), np.uint8)
                picture[: size[1] // 4] = noise.integers(0, 256, (size[1] // 4, size[0], 3))
                frame = Planes.of(picture).frame
                frame.pts = ms
                frame.time_base = Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return make
