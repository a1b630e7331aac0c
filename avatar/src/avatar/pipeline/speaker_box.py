"""The box the speaker's picture fills: the scene's box, or the part of it that holds the whole picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from avatar.compose.fitting import contained_size
from avatar.compose.footage import footage_size
from avatar.compose.layout import Rect
from avatar.spec import MediaRef, PhotoFace, Scene, VideoFace


def engine_box(scene: Scene, box: Rect, resolve: Callable[[MediaRef], Path]) -> Rect:
    """`box` for fit `cover`; for `contain` the largest box inside it with the shape of the photo or video.

    A drawn character has no shape of its own and fills any box.
    """
    if scene.layout.fit == "cover":
        return box
    if isinstance(scene.face, PhotoFace):
        from avatar.face.pictures import read_picture

        picture = read_picture(resolve(scene.face.image))
        natural = (picture.shape[1], picture.shape[0])
    elif isinstance(scene.face, VideoFace):
        path = resolve(scene.face.video)
        natural = footage_size(path, scene.face.video.name or path.name)
    else:
        return box
    width, height = contained_size(natural, box.width, box.height)
    return Rect(box.x + (box.width - width) // 2, box.y + (box.height - height) // 2, width, height)
