"""One scene's voice without pictures: its sound, and a sheet of words, mouth shapes and loudness."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from avatar.encode.atomic import atomic_files
from avatar.pipeline.consent import require_consent
from avatar.pipeline.context import Context
from avatar.pipeline.files import describe, require_other_files
from avatar.pipeline.scene_media import paths_of
from avatar.spec import Finished, Notice, RenderSpec, StageStarted
from avatar.spec.speech_sheet import LEVEL_HZ, SpeechSheet, TimedPhone, TimedWord

SOUND, SHEET = "audio.wav", "speech.json"


def say_scene(spec: RenderSpec, scene_id: str, folder: Path, context: Context) -> Finished:
    """Make `audio.wav` and `speech.json` in `folder`; both appear, or neither."""
    from avatar.speech import speak
    from avatar.timing.track import loudness
    from avatar.timing.visemes import name_visemes

    scene = spec.scene(scene_id)
    require_consent(scene)
    require_other_files(folder, [folder / name for name in (SOUND, SHEET)], paths_of([scene]))
    with atomic_files(folder, (SOUND, SHEET)) as work:
        context.tell(StageStarted(stage="speech", scene=scene_id))
        speech = speak(scene, work, context.resolve, context.cache)
        context.check()
        context.tell(StageStarted(stage="timing", scene=scene_id))
        moments = (np.arange(-(-speech.duration_ms * LEVEL_HZ // 1000)) + 0.5) / LEVEL_HZ
        sheet = SpeechSheet(
            duration_ms=speech.duration_ms,
            sample_rate_hz=speech.sample_rate_hz,
            words=tuple(TimedWord(text=w.text, start_ms=w.start_ms, end_ms=w.end_ms) for w in speech.words),
            visemes=name_visemes(speech.phones, speech.duration_ms),
            phones=tuple(TimedPhone(ipa=p.ipa, start_ms=p.start_ms, end_ms=p.end_ms) for p in speech.phones),
            level=tuple(round(float(level), 3) for level in loudness(speech.wav, moments)),
            phone_source=speech.phone_source,
        )
        speech.wav.rename(work / SOUND)
        (work / SHEET).write_text(sheet.model_dump_json())
    notes = tuple(Notice(code=note.code, message=note.message, scene=scene_id) for note in speech.notes)
    return Finished(
        files=(describe("audio", folder / SOUND), describe("speech", folder / SHEET)),
        duration_ms=speech.duration_ms,
        frames=0,
        warnings=notes,
    )
