"""Writes a reenactment's frames and its sound as the one segment of a video."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from avatar.compose.colour import Planes
from avatar.encode.atomic import atomic_files
from avatar.encode.mixing import has_sound
from avatar.encode.segment_writer import segment_writer
from avatar.engines.ahead import ahead, room_for
from avatar.engines.liveportrait.template import is_template
from avatar.engines.motion.survey import ranges
from avatar.errors import InvalidInput
from avatar.face.pictures import is_picture
from avatar.pipeline.context import Context
from avatar.pipeline.frame_loop import FrameLoop
from avatar.pipeline.record import SegmentRecord, engine_records, to_spoken_words
from avatar.pipeline.reenact.frames import FrameSource
from avatar.pipeline.reenact.job import SCENE
from avatar.pipeline.segment import SEGMENT, SOUND, WORDS, SegmentFiles
from avatar.pipeline.voice_record import voice_record
from avatar.spec import EngineUse, Notice, RenderSpec
from avatar.tracks import SpeechTrack


def write_segment(
    spec: RenderSpec,
    source: FrameSource,
    speech: SpeechTrack | None,
    driving: Path | None,
    folder: Path,
    context: Context,
) -> SegmentFiles:
    from avatar.engines.liveportrait.info import INFO

    with atomic_files(folder, (SEGMENT, SOUND, WORDS)) as work:
        loop = FrameLoop(context, SCENE, source.frames)
        waiting = room_for(spec.canvas.width * spec.canvas.height)
        with (
            ahead(lambda: source.pictures, waiting) as pictures,
            segment_writer(work / SEGMENT, spec.canvas, spec.output.video) as writer,
        ):
            loop.write(map(Planes.of, pictures), writer)
        duration_ms = round(writer.frames * 1000 / spec.canvas.fps)
        for notice in source.notices:
            context.tell(notice)
        notices = _write_sound(speech, driving, duration_ms, work / SOUND, context)
        scene = spec.scenes[0]
        drawn = engine_records((INFO,), source.trackers)
        record = SegmentRecord(
            scene=SCENE,
            scene_hash=spec.scene_hash(SCENE),
            fps=spec.canvas.fps,
            frames=writer.frames,
            duration_ms=duration_ms,
            words=() if speech is None else to_spoken_words(speech.words),
            phone_source="engine" if speech is None else speech.phone_source,
            engines=drawn if speech is None else (voice_record(scene), *drawn),
            engine_use=EngineUse(scene=SCENE, engine=INFO.name, asked=INFO.name, mode=source.mode),
            poster_ms=min(duration_ms // 2, 5000),
            warnings=(*source.notices, *notices),
            lost_face_frames=tuple(ranges(np.isin(np.arange(writer.frames), source.lost()))),
        )
        (work / WORDS).write_text(record.model_dump_json())
    return SegmentFiles(folder, record)


def has_own_sound(driving: Path) -> bool:
    """Returns whether it is a video with sound."""
    return not (is_template(driving) or is_picture(driving)) and has_sound(driving)


def _write_sound(
    speech: SpeechTrack | None, driving: Path | None, duration_ms: int, target: Path, context: Context
) -> list[Notice]:
    """Writes the speech, the driving video's sound, or silence; returns the notices."""
    from avatar.speech.decode import best_rate_hz, decode_into, probe_rate_hz
    from avatar.speech.sound import WavWriter

    if speech is not None:
        speech.wav.rename(target)
        return []
    if driving is None or not has_own_sound(driving):
        with WavWriter(target, 48_000) as writer:
            writer.silence(duration_ms)
        return []
    try:
        with WavWriter(target, best_rate_hz(probe_rate_hz(driving))) as writer:
            damaged = decode_into(driving, writer).damaged
        code, message = "speech.audio_damaged", f"Parts of the sound of {driving.name} could not be read."
    except InvalidInput as error:  # the pictures are drawn: they are not lost for want of a sound
        with WavWriter(target, 48_000) as writer:
            writer.silence(duration_ms)
        damaged, code, message = True, error.code, f"{error.message} The video is silent."
    if not damaged:
        return []
    notice = Notice(code=code, message=message)
    context.tell(notice)
    return [notice]
