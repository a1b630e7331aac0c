"""A photo or video whose face moves as a video, a motion template or a spoken text says: `avatar reenact`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from avatar.compose.colour import Planes
from avatar.encode.atomic import atomic_files
from avatar.encode.mixing import has_sound
from avatar.encode.segment_writer import segment_writer
from avatar.engines.ahead import ahead, room_for
from avatar.engines.base import EngineReport
from avatar.engines.card_memory import NOT_FINITE, give_back
from avatar.engines.liveportrait.template import MotionTemplate, is_template, load_template
from avatar.engines.motion.survey import ranges
from avatar.engines.resume_cache import ResumeCache
from avatar.engines.weights.checkpoint import import_torch
from avatar.engines.weights.store import models_folder
from avatar.errors import InvalidInput, Unavailable
from avatar.face.pictures import is_picture
from avatar.face.tracker import declare, open_aligning_tracker
from avatar.pipeline.assemble import assemble_video
from avatar.pipeline.consent import require_consent
from avatar.pipeline.context import Context
from avatar.pipeline.files import require_mp4
from avatar.pipeline.frame_loop import FrameLoop
from avatar.pipeline.lipsync.video import with_rate_of
from avatar.pipeline.read_spec import report_invalid_fields
from avatar.pipeline.record import SegmentRecord, engine_records, to_spoken_words, voice_record
from avatar.pipeline.reenact.frames import DrawingTools, FrameSource, photo_frames, video_frames
from avatar.pipeline.reenact.job import SCENE, ReenactJob, ReenactOptions, require_other_names, scene_of
from avatar.pipeline.resuming import open_resume_cache, report_resumed
from avatar.pipeline.segment import SEGMENT, SOUND, WORDS, SegmentFiles
from avatar.spec import (
    Captions,
    EngineUse,
    Finished,
    MediaRef,
    Notice,
    Output,
    PhotoFace,
    RenderSpec,
    Scene,
    StageStarted,
)
from avatar.tracks import SpeechTrack

if TYPE_CHECKING:
    from avatar.engines.liveportrait.animator import Animator

__all__ = ["ReenactJob", "ReenactOptions", "reenact"]

OpenAnimator = Callable[[ReenactOptions], "Animator"]


def reenact(
    job: ReenactJob, target: Path, context: Context, open_animator: OpenAnimator | None = None
) -> Finished:
    """Make `target`: as long as what drives it (a source video may end it earlier), with its sound.

    What a stopped run had drawn of the same is used. When numbers run over that a card chose, all is drawn
    once more in fp32. Raises Unavailable `torch.unavailable`, `weights.missing`, `gpu.out_of_memory`,
    `gpu.lost`, `gpu.not_finite`; InvalidInput `media.missing`, `media.empty`, `face.not_found`, `template.*`,
    `consent.required`.
    """
    require_mp4(target)
    for named in (job.source, job.driving):
        if named is not None:
            context.resolve(MediaRef(path=str(named), name=named.name))
    require_other_names(job, target)
    photo = is_picture(job.source)
    with report_invalid_fields():
        scene = scene_of(job, photo=photo)
    require_consent(scene)
    template = None
    if job.driving is not None and is_template(job.driving):
        template = load_template(job.driving)
    torch = import_torch()
    resume_cache = open_resume_cache(context, fresh=job.options.fresh)
    run = partial(_run, scene=scene, template=template, target=target, context=context)
    run = partial(run, resume_cache=resume_cache, open_animator=open_animator or _open_animator)
    try:
        return run(job)
    except Unavailable as error:
        if error.code != NOT_FINITE or job.options.precision != "auto" or not torch.cuda.is_available():
            raise
        context.tell(Notice(code=error.code, message=f"{error.message} Starting again in fp32."))
    give_back(torch)
    return run(replace(job, options=replace(job.options, precision="fp32")))


def _run(
    job: ReenactJob,
    scene: Scene,
    template: MotionTemplate | None,
    target: Path,
    context: Context,
    resume_cache: ResumeCache,
    open_animator: OpenAnimator,
) -> Finished:
    from avatar.engines.card import hold_card
    from avatar.engines.liveportrait.engine import INFO

    photo = isinstance(scene.face, PhotoFace)
    with ExitStack() as stack:
        stack.enter_context(hold_card(INFO.name, low=True))
        animator = open_animator(job.options)
        stack.enter_context(animator.stoppable(context.check))
        work = stack.enter_context(atomic_files(target.parent, ()))
        tracker = stack.enter_context(closing(open_aligning_tracker(job.options.models)))
        speech = None
        if job.driving is None:
            from avatar.speech import speak

            context.tell(StageStarted(stage="speech", scene=SCENE))
            speech = speak(scene, work, context.resolve)
        context.tell(StageStarted(stage="prepare", scene=SCENE))
        run = photo_frames if photo else video_frames
        source = run(
            job,
            template if speech is None else speech,
            DrawingTools(animator, tracker, context.check, resume_cache),
        )
        declare(tracker, report := EngineReport())
        source = replace(
            source,
            notices=tuple(report.notices),
            trackers=tuple(report.trackers),
            mode="full" if animator.device.type == "cuda" else "",
        )
        spec = RenderSpec(
            title=job.source.stem[:200],
            canvas=source.canvas,
            scenes=(scene,),
            output=_output(job, spoken=speech is not None),
        )
        segment = write_segment(spec, source, speech, job.driving, work / SCENE, context)
        report_resumed(context, resume_cache.found, SCENE)
        done = assemble_video(spec, [segment], target, context)
    resume_cache.forget()
    return done


def _output(job: ReenactJob, *, spoken: bool) -> Output:
    output = Output(captions=Captions(mode="soft" if spoken else "none"))
    return with_rate_of(job.driving, output) if job.driving and has_own_sound(job.driving) else output


def _open_animator(options: ReenactOptions) -> Animator:
    import_torch()
    from avatar.engines.liveportrait.engine import open_animator

    folder = options.models or models_folder()
    return open_animator(
        folder,
        options.precision,
        stitching=options.stitching,
        strength=options.strength,
        compile=options.compile,
    )


def write_segment(
    spec: RenderSpec,
    source: FrameSource,
    speech: SpeechTrack | None,
    driving: Path | None,
    folder: Path,
    context: Context,
) -> SegmentFiles:
    from avatar.engines.liveportrait import INFO

    with atomic_files(folder, (SEGMENT, SOUND, WORDS)) as work:
        loop = FrameLoop(context, SCENE, source.frames)
        waiting = room_for(spec.canvas.width * spec.canvas.height)
        with (
            ahead(lambda: source.pictures, waiting) as pictures,
            segment_writer(work / SEGMENT, spec.canvas, spec.output.video) as writer,
        ):
            loop.write(map(Planes.of, pictures), writer)
        duration_ms = round(writer.frames * 1000 / spec.canvas.rate)
        for notice in source.notices:
            context.tell(notice)
        notices = _write_sound(speech, driving, duration_ms, work / SOUND, context)
        scene = spec.scenes[0]
        drawn = engine_records((INFO,), source.trackers)
        record = SegmentRecord(
            scene=SCENE,
            scene_hash=spec.scene_hash(SCENE),
            fps=float(spec.canvas.rate),
            frames=writer.frames,
            duration_ms=duration_ms,
            words=() if speech is None else to_spoken_words(speech.words),
            phone_source="engine" if speech is None else speech.phone_source,
            engines=drawn if speech is None else (voice_record(scene), *drawn),
            engine_uses=(EngineUse(scene=SCENE, engine=INFO.name, asked=INFO.name, mode=source.mode),),
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
