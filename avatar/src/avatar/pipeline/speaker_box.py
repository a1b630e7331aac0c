"""The box the speaker's picture fills: the scene's box, or the part of it that holds the whole picture."""

from __future__ import annotations

from avatar.compose.fitting import contain_size
from avatar.compose.footage import footage_size
from avatar.compose.layout import Rect
from avatar.pipeline.context import Context
from avatar.spec import PhotoFace, Scene, VideoFace


def engine_box(scene: Scene, box: Rect, context: Context) -> Rect:
    """`box` for fit `cover`; for `contain` the largest box inside it with the shape of the photo or video.

    A drawn character has no shape of its own and fills any box.
    """
    if scene.layout.fit == "cover":
        return box
    if isinstance(scene.face, PhotoFace):
        from avatar.engines.mesh.preparation import upright_size

        face = scene.face
        portrait = context.resolve(face.portrait) if face.portrait is not None else None
        natural = upright_size(context.resolve(face.image), portrait, face.face_index, context.cache)
    elif isinstance(scene.face, VideoFace):
        path = context.resolve(scene.face.video)
        natural = footage_size(path, scene.face.video.name or path.name)
    else:
        return box
    width, height = contain_size(natural, box.width, box.height)
    return Rect(box.x + (box.width - width) // 2, box.y + (box.height - height) // 2, width, height)
