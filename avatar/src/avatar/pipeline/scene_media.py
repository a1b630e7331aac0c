"""The files that scenes refer to: what a video is made of, and what must not be written over by making it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from avatar.spec import ImageOverlay, MediaRef, Overlay, RenderSpec, Scene, VideoOverlay


def paths_of(scenes: Iterable[Scene], spec: RenderSpec | None = None) -> list[Path]:
    """Returns the media that are named by a path: of scenes, and of the film that they belong to."""
    refs = [ref for scene in scenes for _, ref in media_of(scene)]
    refs += [] if spec is None else [ref for _, ref in film_media(spec)]
    return [Path(ref.path) for ref in refs if ref.path is not None]


def film_media(spec: RenderSpec) -> Iterator[tuple[str, MediaRef]]:
    """Files of the film that belong to no scene alone: its music, and what lies over all scenes."""
    if spec.music is not None:
        yield "music", spec.music.audio
    yield from _overlay_media(spec.overlays)


def _overlay_media(overlays: Iterable[Overlay]) -> Iterator[tuple[str, MediaRef]]:
    for overlay in overlays:
        if isinstance(overlay, ImageOverlay):
            yield "overlay", overlay.image
        elif isinstance(overlay, VideoOverlay):
            yield "overlay", overlay.video


def media_of(scene: Scene) -> Iterator[tuple[str, MediaRef]]:
    """Every file a scene refers to, with the part it plays."""
    if scene.audio is not None:
        yield "audio", scene.audio
    for face in scene.faces:
        if face.kind == "rig":
            continue
        yield "face", face.image if face.kind == "photo" else face.video
        if face.kind == "photo" and face.driving is not None:
            yield "driving", face.driving
    background = scene.background
    if background.kind in ("image", "video"):
        yield "background", background.image if background.kind == "image" else background.video
    yield from _overlay_media(scene.overlays)
    for effect in scene.sounds:
        yield "sound", effect.audio
