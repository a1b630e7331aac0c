"""`words.json`: what a finished segment tells the assembler about its words, length and making."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from avatar.encode.provenance import EngineRecord
from avatar.errors import InvalidInput
from avatar.programs import espeak_version, flite_is_installed
from avatar.spec import EngineUse, EspeakVoice, FliteVoice, Notice, OpenAIVoice, PiperVoice, Scene, SpecModel
from avatar.spec.speech_sheet import TimedWord
from avatar.tracks import Word

if TYPE_CHECKING:
    from avatar.engines.base import EngineInfo


class SpokenWord(TimedWord):
    emphasis: bool = False


class SegmentRecord(SpecModel):
    """Times are milliseconds from the start of the scene."""

    scene: str
    scene_hash: str
    fps: float
    frames: int
    duration_ms: int
    poster_ms: int
    words: tuple[SpokenWord, ...]
    speaker_changes: tuple[int, ...] = ()
    """Numbers of the words with which another speaker begins."""
    phone_source: str
    engines: tuple[EngineRecord, ...]
    engine_uses: tuple[EngineUse, ...] = ()
    warnings: tuple[Notice, ...] = ()
    lost_face_frames: tuple[tuple[int, int], ...] = ()


def engine_records(
    drew: Iterable[EngineInfo], trackers: Iterable[EngineInfo] = ()
) -> tuple[EngineRecord, ...]:
    """Returns records of the engines that drew a face, and of its tracker where that must be declared."""

    def of(role: Literal["face", "tracker"], one: EngineInfo) -> EngineRecord:
        return EngineRecord(role=role, name=one.name, version=one.version, licence=one.licence)

    # A card that ran full has drawn twice.
    found = dict.fromkeys(of("tracker", one) for one in trackers)
    return (*(of("face", one) for one in drew), *found)


def to_spoken_words(words: tuple[Word, ...]) -> tuple[SpokenWord, ...]:
    return tuple(
        SpokenWord(text=w.text, start_ms=w.start_ms, end_ms=w.end_ms, emphasis=w.emphasis) for w in words
    )


def read_record(path: Path) -> SegmentRecord:
    """Raises `InvalidInput` (`render.segment_missing`, `render.segment_broken`)."""
    try:
        return SegmentRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise InvalidInput(
            "render.segment_missing",
            f"The segment {path.parent.name} has not been made.",
            "Run `avatar segment` first.",
        ) from error
    except ValidationError as error:
        raise InvalidInput(
            "render.segment_broken",
            f"{path.name} of segment {path.parent.name} cannot be read.",
            "Make the segment again with this version of the worker.",
        ) from error


def voice_records(scene: Scene) -> tuple[EngineRecord, ...]:
    """Returns a record of each voice that is heard in a scene; none of a silent one."""
    if scene.silent:
        return ()
    if not scene.speakers:
        return (voice_record(scene),)
    return tuple(dict.fromkeys(voice_record(scene.of_turn(turn)) for turn in scene.turns))


def voice_record(scene: Scene) -> EngineRecord:
    """Records the voice of a scene with one speaker: a supplied sound, the installed espeak-ng, or a service
    with its model.
    """
    if scene.has_foreign_sound:
        return EngineRecord(
            role="speech", name="supplied audio", version="as supplied", licence="as supplied"
        )
    voice = scene.voice
    if isinstance(voice, FliteVoice):
        # Whoever only looks at the machine loads no engine.
        from avatar.speech.flite import reads
        from avatar.speech.markup import parse_script

        if flite_is_installed() and reads(parse_script(scene.script or ""), scene.language):
            licence = "BSD-like (Carnegie Mellon University)"
            return EngineRecord(role="speech", name="flite", version=f"cmu_us_{voice.voice}", licence=licence)
        voice = voice.otherwise
    if isinstance(voice, EspeakVoice):
        version = espeak_version() or "unknown"
        return EngineRecord(role="speech", name="espeak-ng", version=version, licence="GPL-3.0-or-later")
    if isinstance(voice, PiperVoice):
        return EngineRecord(role="speech", name="Piper", version=voice.voice, licence="of the voice file")
    model = voice.model if isinstance(voice, OpenAIVoice) else voice.voice_id
    return EngineRecord(role="speech", name=f"{voice.kind} service", version=model, licence="of the service")
