"""The sound of a scene: the voice, and under it what its video overlays say; the segment stage calls it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from avatar.compose.overlays import span_ms
from avatar.encode.mixing import Underlay, has_sound, mix
from avatar.pipeline.context import Context
from avatar.spec import Notice, Scene, VideoOverlay
from avatar.tracks import SpeechTrack


def write_scene_sound(
    scene: Scene, speech: SpeechTrack, target: Path, context: Context, warn: Callable[[Notice], None]
) -> None:
    """Moves the voice to `target`, or mixes it there with the sounds of overlays; as long either way."""
    underlays = [
        Underlay(path, start, end, overlay.gain_db, overlay.fade_ms)
        for overlay in scene.overlays
        if isinstance(overlay, VideoOverlay) and overlay.gain_db is not None
        for start, end in [span_ms(overlay, speech.words, speech.duration_ms, scene.id)]
        if end > start and has_sound(path := context.resolve(overlay.video))
    ]
    if not underlays:
        speech.wav.rename(target)
        return
    for file in mix(speech.wav, underlays, target):
        message = f"The sound of the overlay {file.name} breaks off: the rest is silent."
        warn(Notice(code="overlay.sound_damaged", message=message, scene=scene.id))
    speech.wav.unlink()
