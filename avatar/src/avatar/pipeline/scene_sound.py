"""The sound of a scene: the voice, and under it effects and what video overlays say; the segment stage
calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from av.error import FFmpegError

from avatar.compose.anchors import moment_ms, span_ms
from avatar.encode.mixing import Underlay, has_sound, mix
from avatar.errors import InvalidInput
from avatar.pipeline.context import Context
from avatar.spec import Notice, Overlay, Scene, SoundEffect, VideoOverlay
from avatar.tracks import SpeechTrack


def write_scene_sound(
    scene: Scene,
    over_all: tuple[Overlay, ...],
    speech: SpeechTrack,
    target: Path,
    context: Context,
    warn: Callable[[Notice], None],
) -> None:
    """Moves the voice to `target`, or mixes it there with other sounds; as long either way. `over_all` are
    the overlays of the whole film.
    """
    underlays = [*_of_overlays(scene, over_all, speech, context), *_effects(scene, speech, context, warn)]
    if not underlays:
        speech.wav.rename(target)
        return
    for file in mix(speech.wav, underlays, target):
        message = f"The sound of {file.name} breaks off: the rest is silent."
        warn(Notice(code="overlay.sound_damaged", message=message, scene=scene.id))
    speech.wav.unlink()


def _of_overlays(
    scene: Scene, over_all: tuple[Overlay, ...], speech: SpeechTrack, context: Context
) -> Iterator[Underlay]:
    for overlay in (*over_all, *scene.overlays):
        if not isinstance(overlay, VideoOverlay) or overlay.gain_db is None:
            continue
        start, end = span_ms(overlay, speech.words, speech.duration_ms, scene.id)
        if end > start and has_sound(path := context.resolve(overlay.video)):
            yield Underlay(
                path,
                start,
                end,
                overlay.gain_db,
                overlay.fade_ms,
                from_ms=overlay.from_ms,
                until_ms=overlay.until_ms,
                loop=overlay.loop,
            )


def _effects(
    scene: Scene, speech: SpeechTrack, context: Context, warn: Callable[[Notice], None]
) -> Iterator[Underlay]:
    for effect in scene.sounds:
        start = moment_ms(effect.start, speech.words, scene.id, warn)
        if start is None or start >= speech.duration_ms:
            continue
        path = context.resolve(effect.audio)
        _require_sound(effect, path)
        yield Underlay(path, start, speech.duration_ms, effect.gain_db, effect.fade_ms)


def _require_sound(effect: SoundEffect, path: Path) -> None:
    try:
        if has_sound(path):
            return
    except (FFmpegError, OSError, ValueError):
        pass
    raise InvalidInput(
        "sound.unreadable",
        f"{effect.audio.name or path.name} is not sound that can be read.",
        "WAV, MP3, FLAC, OGG and M4A work.",
    )
