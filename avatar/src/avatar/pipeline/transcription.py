"""The worker's part of a transcription: decodes the sound of a recording, and makes captions of its words;
`avatar sound` and `avatar captions` call it.
"""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from avatar.compose.cues import make_cues
from avatar.encode.atomic import atomic_file, write_bytes
from avatar.encode.subtitles import to_srt, to_vtt
from avatar.errors import InvalidInput
from avatar.named_media import open_named_sound, require_file
from avatar.pipeline.context import Context
from avatar.pipeline.files import describe
from avatar.spec import Finished, StageStarted

SPEECH_HZ = 16_000
"""What recognisers of speech take."""


class _Word(BaseModel):
    text: str
    start_ms: int = Field(ge=0)
    end_ms: int = Field(ge=0)


class _Words(BaseModel):
    words: tuple[_Word, ...]
    duration_ms: int = Field(ge=0)
    language: str = "en"


def decode_sound(path: Path, target: Path, limit_s: float, context: Context) -> Finished:
    """Writes the first sound stream as WAV, mono, 16 kHz, with silence where it begins after the pictures.

    Raises InvalidInput `media.missing`, `media.unreadable`, `media.no_sound`, `media.too_long` and
    `audio.unmixable`.
    """
    context.tell(StageStarted(stage="prepare"))
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        open_named_sound(path, limit_s) as sound,
        atomic_file(target) as part,
        wave.open(str(part), "wb") as file,
    ):
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SPEECH_HZ)
        samples = round(sound.late_s * SPEECH_HZ)
        file.writeframes(bytes(2 * samples))
        for block in sound.blocks(SPEECH_HZ):
            context.check()
            file.writeframes((np.clip(block, -1.0, 1.0) * 32767).astype("<i2").tobytes())
            samples += block.size
            if samples > limit_s * SPEECH_HZ:
                raise InvalidInput(
                    "media.too_long",
                    f"{path.name} is longer than {limit_s / 60:g} minutes.",
                    "Cut it into parts.",
                )
    return Finished(files=(describe("audio", target),), duration_ms=samples * 1000 // SPEECH_HZ, frames=0)


def make_captions(path: Path, target: Path, context: Context) -> Finished:
    """Writes WebVTT to `target` and SubRip beside it, of words with their times (JSON).

    Raises InvalidInput `media.missing` and `captions.bad_words`.
    """
    context.tell(StageStarted(stage="captions"))
    require_file(path)
    try:
        found = _Words.model_validate(json.loads(path.read_bytes()))
    except (ValueError, RecursionError, ValidationError) as error:
        raise InvalidInput(
            "captions.bad_words",
            f"{path.name} does not hold words with times.",
            "It is JSON: `words` with `text`, `start_ms`, `end_ms`; `duration_ms`; `language`.",
        ) from error
    cues = make_cues(found.words, found.duration_ms, language=found.language)
    srt = target.with_suffix(".srt")
    target.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(target, to_vtt(cues).encode())
    write_bytes(srt, to_srt(cues).encode())
    files = (describe("vtt", target), describe("srt", srt))
    return Finished(files=files, duration_ms=found.duration_ms, frames=0)
