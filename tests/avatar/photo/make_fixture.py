"""Makes the drawn portrait in the fixtures folder and its golden frames; run by hand when formats change.

    PYTHONPATH=tests/avatar/photo avatar/.venv/bin/python tests/avatar/photo/make_fixture.py

Nova, the drawn character, stands in for a person: no real face lies in the repository.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
from avatar.engines.mesh import open_photo
from avatar.engines.rig import open_rig
from avatar.face.pictures import read_picture
from avatar.face.portrait import prepare_portrait, save_portrait
from avatar.spec import MediaRef, PhotoFace
from avatar.spec.base import sha256_of
from avatar.tracks import CHANNELS, ControlTrack
from golden_poses import FIXTURES, POSES, SIZE, frame

PICTURE_SIZE = (480, 270)


def main() -> None:
    still = ControlTrack(25, {name: np.zeros(1, np.float32) for name in CHANNELS})
    rig = open_rig("nova", PICTURE_SIZE, 25, False)
    layer = rig.draw(next(iter(rig.items(still))))
    blank = np.zeros((PICTURE_SIZE[1], PICTURE_SIZE[0], 3), np.uint8)
    picture = blank if rig.base is None else rig.base[..., :3].copy()
    height, width = layer.pixels.shape[:2]
    picture[layer.y : layer.y + height, layer.x : layer.x + width] = layer.pixels[..., :3]
    image, portrait = FIXTURES / "drawn.png", FIXTURES / "drawn.json"
    cv2.imwrite(str(image), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    save_portrait(prepare_portrait(read_picture(image), sha256_of(image)), portrait)
    face = PhotoFace(image=MediaRef(path=str(image)), portrait=MediaRef(path=str(portrait)))
    with tempfile.TemporaryDirectory() as cache:
        engine = open_photo(
            face, SIZE, 25, resolve=lambda ref: Path(ref.path or ""), cache=Path(cache), alpha=False
        )
        for name, channels in POSES.items():
            cv2.imwrite(str(FIXTURES / f"golden_{name}.png"), frame(engine, channels))


if __name__ == "__main__":
    main()
