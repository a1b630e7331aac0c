"""A photo or video whose face moves as a video, a motion template or a spoken text says: `avatar reenact`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from avatar.encode.atomic import atomic_files
from avatar.engines.base import EngineReport
from avatar.engines.card_memory import NOT_FINITE, give_back
from avatar.engines.liveportrait.template import MotionTemplate, is_template, load_template
from avatar.engines.resume_cache import ResumeCache
from avatar.engines.weights.checkpoint import import_torch
from avatar.engines.weights.store import models_folder
from avatar.errors import Unavailable
from avatar.face.pictures import is_picture
from avatar.face.tracker import declare, open_aligning_tracker
from avatar.pipeline.assemble import assemble_video
from avatar.pipeline.consent import require_consent
from avatar.pipeline.context import Context
from avatar.pipeline.files import require_mp4
from avatar.pipeline.lipsync.video import with_rate_of
from avatar.pipeline.read_spec import report_invalid_fields
from avatar.pipeline.reenact.frames import DrawingTools, photo_frames, video_frames
from avatar.pipeline.reenact.job import SCENE, ReenactJob, ReenactOptions, require_other_names, scene_of
from avatar.pipeline.reenact.segment import has_own_sound, write_segment
from avatar.pipeline.resuming import open_resume_cache, report_resumed
from avatar.spec import (
    Captions,
    Finished,
    MediaRef,
    Notice,
    Output,
    PhotoFace,
    RenderSpec,
    Scene,
    StageStarted,
)

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
