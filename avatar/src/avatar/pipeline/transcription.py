"""The worker's part of a transcription: decodes the sound of a recording, and makes captions of its words;
`avatar sound` and `avatar captions` call it.
"""

from __future__ import annotations

import json
import wave
from itertools import chain
from pathlib import Path

import numpy as np
from av.error import FFmpegError
from pydantic import BaseModel, Field, ValidationError

from avatar.compose.cues import make_cues
from avatar.encode.atomic import atomic_file, write_bytes
from avatar.encode.sound import resample
from avatar.encode.subtitles import to_srt, to_vtt
from avatar.errors import InvalidInput
from avatar.media_files import decodable
from avatar.pipeline.context import Context
from avatar.pipeline.files import describe
from avatar.pipeline.named_media import open_named_media, require_file, unreadable_media
from avatar.spec import Finished, StageStarted

KIND = "sound or video"
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
    samples = 0
    with open_named_media(path, KIND) as container, atomic_file(target) as part:
        stream = next((one for one in container.streams.audio if decodable(one)), None)
        if stream is None:
            raise InvalidInput("media.no_sound", f"{path.name} has no sound.", "Name a sound or a video.")
        frames = container.decode(stream)
        try:
            first = next(frames)
        except (StopIteration, FFmpegError) as error:
            raise unreadable_media(path, KIND) from error
        begins_s = float(container.start_time or 0) / 1_000_000
        late_s = min(limit_s, max((first.time or 0.0) - begins_s, 0.0))
        with wave.open(str(part), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SPEECH_HZ)
            file.writeframes(bytes(2 * round(late_s * SPEECH_HZ)))
            samples = round(late_s * SPEECH_HZ)
            try:
                for block in resample(chain((first,), frames), SPEECH_HZ, path.name):
                    context.check()
                    plain = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
                    file.writeframes((np.clip(plain, -1.0, 1.0) * 32767).astype("<i2").tobytes())
                    samples += block.size
                    if samples > limit_s * SPEECH_HZ:
                        raise InvalidInput(
                            "media.too_long",
                            f"{path.name} is longer than {limit_s / 60:g} minutes.",
                            "Cut it into parts.",
                        )
            except FFmpegError:
                # A file that breaks off ends where it breaks.
                pass
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
