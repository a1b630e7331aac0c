"""The files that scenes refer to: what a video is made of, and what must not be written over by making it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from avatar.spec import MediaRef, Scene


def paths_of(scenes: Iterable[Scene]) -> list[Path]:
    """Returns the media of scenes that are named by a path."""
    return [Path(ref.path) for scene in scenes for _, ref in media_of(scene) if ref.path is not None]


def media_of(scene: Scene) -> Iterator[tuple[str, MediaRef]]:
    """Every file a scene refers to, with the part it plays."""
    if scene.audio is not None:
        yield "audio", scene.audio
    if scene.layout.visible and scene.face.kind != "rig":
        yield "face", scene.face.image if scene.face.kind == "photo" else scene.face.video
        if scene.face.kind == "photo" and scene.face.driving is not None:
            yield "driving", scene.face.driving
    background = scene.background
    if background.kind in ("image", "video"):
        yield "background", background.image if background.kind == "image" else background.video
    for overlay in scene.overlays:
        if overlay.kind != "text":
            yield "overlay", overlay.image if overlay.kind == "image" else overlay.video
