"""How much disk LivePortrait's pictures take a minute while they wait for LatentSync on a card that does not
hold both.

    scripts/bench parity/waiting_pictures [--seconds 12] [--photo FILE] [--grain 3]

Without trained weights a photo that is warped in 2.5D by the same track of a speech stands in for what
LivePortrait draws. A grain of so many levels makes the photo as hard to pack as a camera's; the networks'
faces have less of it. `sizes` are those of the work: a canvas of 512 x 512 is drawn at 1024 x 1024 where the
face would be too small for the networks.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "avatar/src"), str(ROOT / "tests/avatar/measure")]

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from avatar.engines.base import Pixels  # noqa: E402
from avatar.engines.neural.hand_over import write_pictures  # noqa: E402
from avatar.engines.registry import open_engine  # noqa: E402
from avatar.spec import Consent, MediaRef, PhotoFace  # noqa: E402
from clipmaker.person import photo  # noqa: E402
from rendering import flat, local, say  # noqa: E402

FPS = 25
SIZES = ((512, 512), (1024, 1024), (1280, 720), (1920, 1080))
SENTENCE = "The weather will be fair today, and the sea is calm. "
SENTENCE_S = 3.4
PHOTO_PX = 2048


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--photo", type=Path)
    parser.add_argument("--grain", type=float, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        picture = cv2.imread(str(given.photo)) if given.photo else photo("astronaut")
        cv2.imwrite(str(folder / "photo.png"), grained(picture, given.grain))
        track, _ = say(SENTENCE * max(1, round(given.seconds / SENTENCE_S)), folder, FPS)
        own = Consent(id="own", person="a test picture", granted_at="2026-01-01", purpose="measurement")
        face = PhotoFace(image=MediaRef(path=str(folder / "photo.png")), engine="mesh", consent=own)
        print(f"{track.frames} frames, grain of {given.grain:g} levels")
        for size in SIZES:
            with closing(
                open_engine(face, size, FPS, resolve=local, cache=folder / "cache", alpha=False)
            ) as engine:

                def pictures(engine: object = engine) -> Iterator[Pixels]:
                    for item in engine.items(track):
                        yield flat(engine, engine.draw(item))

                write_pictures(folder / "moved.mkv", pictures(), size, FPS, track.frames)
            taken = (folder / "moved.mkv").stat().st_size / 1e6
            plain = 3 * size[0] * size[1] * track.frames / 1e6
            minute = taken / track.frames * FPS * 60
            print(f"{size[0]} x {size[1]}: {minute:.0f} MB a minute, {taken / plain:.0%} of the plain pixels")


def grained(picture: Pixels, grain: float) -> Pixels:
    """Large, and with the noise that a camera's pixels have."""
    scale = PHOTO_PX / max(picture.shape[:2])
    large = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    noise = np.random.default_rng(1).normal(0, grain, large.shape)
    return np.clip(np.rint(large + noise), 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
