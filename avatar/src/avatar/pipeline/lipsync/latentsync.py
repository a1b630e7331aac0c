"""A video and a sound to the same video saying it, by LatentSync; `avatar lipsync --video` calls it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from avatar.compose.colour import Planes
from avatar.encode.atomic import atomic_files
from avatar.encode.segment_writer import segment_writer
from avatar.engines.base import EngineReport
from avatar.engines.card_memory import NOT_FINITE, OUT_OF_MEMORY, give_back
from avatar.engines.card_mode import MOUTH, RequestedMode, choose_mode
from avatar.engines.resume_cache import ResumeCache
from avatar.engines.weights.checkpoint import import_torch
from avatar.engines.weights.store import ModelStore, models_folder
from avatar.errors import InvalidInput, Unavailable
from avatar.face.tracker import open_aligning_tracker
from avatar.pipeline.assemble import assemble_video
from avatar.pipeline.consent import require_consent
from avatar.pipeline.context import Context
from avatar.pipeline.files import require_outputs
from avatar.pipeline.frame_loop import FrameLoop
from avatar.pipeline.lipsync.video import SCENE, render_spec
from avatar.pipeline.record import SegmentRecord, engine_records, to_spoken_words, voice_record
from avatar.pipeline.resuming import open_resume_cache, report_resumed
from avatar.pipeline.scene_media import paths_of
from avatar.pipeline.scene_sound import write_scene_sound
from avatar.pipeline.segment import SEGMENT, SOUND, WORDS, SegmentFiles
from avatar.spec import EngineUse, Finished, LipsyncSpec, Notice, RenderSpec, StageStarted, VideoFace

if TYPE_CHECKING:
    from avatar.engines.latentsync.engine import LatentSync
    from avatar.engines.latentsync.whisper import Tail

FPS = 25
"""The rate the checkpoints were trained at."""


@dataclass(frozen=True, slots=True)
class MouthOptions:
    """vram: see `avatar.engines.card_mode`; steps, guidance and reuse: of its sampler; side_px: 512
    for LatentSync 1.6, 256 for 1.5; models: where the operator's weights lie; fresh: use nothing that a
    stopped run had finished; compile: the denoiser, which takes minutes at first; tail: what the networks
    hear after the sound's end, see `avatar.engines.latentsync.whisper`.
    """

    vram: RequestedMode = "auto"
    precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    steps: int = 20
    guidance: float = 1.5
    side_px: int = 512
    reuse: int = 1
    models: Path | None = None
    fresh: bool = False
    compile: bool = False
    tail: Tail = "tone"

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= 100:
            raise InvalidInput("lipsync.bad_steps", f"{self.steps} steps are not possible.", "Use 1 to 100.")
        if not 1 <= self.reuse <= 10:
            raise InvalidInput(
                "lipsync.bad_reuse", f"A reuse of {self.reuse} is not possible.", "Use 1 to 10."
            )
        if not 0 <= self.guidance <= 10:
            raise InvalidInput(
                "lipsync.bad_guidance", f"A guidance of {self.guidance} is not possible.", "Use 0 to 10."
            )


OpenEngine = Callable[[MouthOptions], "LatentSync"]


def lipsync_by_networks(
    spec: LipsyncSpec,
    target: Path,
    context: Context,
    options: MouthOptions,
    open_engine: OpenEngine | None = None,
) -> Finished:
    """Make `target` in the size of the source video, at 25 frames a second.

    When the card runs out of memory, the rest is done in the low mode; when numbers run over that it chose,
    all in fp32. What a stopped or failed run had finished of the same is used. Raises Unavailable
    `torch.unavailable`, `weights.missing`, `gpu.out_of_memory`, `gpu.lost`, `gpu.not_opened`,
    `gpu.not_finite`.
    """
    whole = render_spec(spec, context)
    whole = whole.model_copy(update={"canvas": whole.canvas.model_copy(update={"fps": FPS})})
    require_outputs(target, whole.output, paths_of(whole.scenes))
    require_consent(whole.scenes[0])
    resume_cache = open_resume_cache(context, fresh=options.fresh)
    while True:
        at_low, at_fp32 = _limits_reached(options)
        try:
            return _run_with_card(
                whole, target, context, open_engine or open_latentsync, options, resume_cache, low=at_low
            )
        except Unavailable as error:
            if error.code == OUT_OF_MEMORY and not at_low:
                options, change = replace(options, vram="low"), "with less at a time"
            elif error.code == NOT_FINITE and options.precision == "auto" and not at_fp32:
                options, change = replace(options, precision="fp32"), "in fp32"
            else:
                raise
            context.tell(Notice(code=error.code, message=f"{error.message} Starting again {change}."))
        give_back(import_torch())


def _limits_reached(options: MouthOptions) -> tuple[bool, bool]:
    """Returns whether the mode is the lowest, and whether the numbers are fp32 already."""
    torch = import_torch()
    from avatar.engines.card import open_card
    from avatar.engines.precision import dtype_of

    card = open_card(MOUTH)
    wide = dtype_of(options.precision, torch.float32 if card is None else torch.float16) is torch.float32
    return choose_mode(MOUTH, card, options.vram, wide=wide) == "low", wide


def _run_with_card(
    spec: RenderSpec,
    target: Path,
    context: Context,
    open_engine: OpenEngine,
    options: MouthOptions,
    resume_cache: ResumeCache,
    *,
    low: bool,
) -> Finished:
    from avatar.engines.card import hold_card
    from avatar.engines.latentsync.engine import INFO

    with hold_card(INFO.name, low=low):
        return _run(spec, target, context, open_engine(options), resume_cache, options)


def open_latentsync(options: MouthOptions) -> LatentSync:
    """Opens the engine with the operator's weights."""
    import_torch()
    from avatar.engines.latentsync.clip import Settings
    from avatar.engines.latentsync.engine import LatentSync
    from avatar.engines.latentsync.loading import Files, load_networks
    from avatar.engines.latentsync.memory import plan

    store = ModelStore(options.models or models_folder())
    files = Files(
        unet=store.require("latentsync.unet"),
        whisper=store.require("latentsync.whisper"),
        vae=store.require("latentsync.vae"),
    )
    ways = replace(plan(options.vram, options.precision), compile=options.compile)
    settings = Settings(
        steps=options.steps, guidance=options.guidance, side_px=options.side_px, reuse=options.reuse
    )
    tracker = partial(open_aligning_tracker, store.folder)
    return LatentSync(load_networks(files, ways), ways, settings, tracker=tracker)


def _run(
    spec: RenderSpec,
    target: Path,
    context: Context,
    engine: LatentSync,
    resume_cache: ResumeCache,
    options: MouthOptions,
) -> Finished:
    with atomic_files(target.parent, ()) as work:
        segment = make_mouth_segment(spec, work / SCENE, context, engine, resume_cache, options)
        done = assemble_video(spec, [segment], target, context)
    resume_cache.forget()
    return done


def make_mouth_segment(
    spec: RenderSpec,
    folder: Path,
    context: Context,
    engine: LatentSync,
    resume_cache: ResumeCache,
    options: MouthOptions,
) -> SegmentFiles:
    """Makes the one scene of `spec`: `segment.mp4`, `audio.wav` and `words.json` in `folder`.

    Forgets nothing of `resume_cache`: the caller does, once it has the segment. Of `options` only `tail`
    counts here: with the others `engine` was opened.
    """
    from avatar.engines.latentsync.engine import INFO, Job
    from avatar.speech import speak

    scene = spec.scenes[0]
    if not isinstance(scene.face, VideoFace):
        raise TypeError("LatentSync needs a video")
    notices: list[Notice] = []

    def warn(notice: Notice) -> None:
        notices.append(notice)
        context.tell(notice)

    with atomic_files(folder, (SEGMENT, SOUND, WORDS)) as work:
        context.tell(StageStarted(stage="speech", scene=scene.id))
        speech = speak(scene, work, context.resolve)
        for note in speech.notes:
            warn(Notice(code=note.code, message=note.message, scene=scene.id))
        context.check()
        job = Job(
            face=scene.face,
            video=context.resolve(scene.face.video),
            name=scene.face.video.name or "the video",
            sound=speech.wav,
            frames=max(1, math.ceil(speech.duration_ms * spec.canvas.fps / 1000)),
            size=(spec.canvas.width, spec.canvas.height),
            fps=spec.canvas.whole_fps,
            tail=options.tail,
        )
        loop = FrameLoop(context, scene.id, job.frames)
        report = EngineReport()
        with (
            engine.pictures(job, work, report, context.check, resume_cache) as pictures,
            segment_writer(work / SEGMENT, spec.canvas, spec.output.video) as writer,
        ):
            loop.write(map(Planes.of, pictures), writer)
        report_resumed(context, resume_cache.found, scene.id)
        for notice in report.notices:
            warn(notice.model_copy(update={"scene": scene.id}))
        write_scene_sound(scene, spec.overlays, speech, work / SOUND, context, warn)
        record = SegmentRecord(
            scene=scene.id,
            scene_hash=spec.scene_hash(scene.id),
            fps=float(spec.canvas.rate),
            frames=writer.frames,
            duration_ms=speech.duration_ms,
            words=to_spoken_words(speech.words),
            phone_source=speech.phone_source,
            engines=(voice_record(scene), *engine_records((INFO,), report.trackers)),
            engine_uses=(EngineUse(scene=scene.id, engine=INFO.name, asked=INFO.name, mode=engine.mode),),
            poster_ms=min(speech.duration_ms // 2, 5000),
            warnings=tuple(notices),
            lost_face_frames=tuple(report.lost_face_frames),
        )
        (work / WORDS).write_text(record.model_dump_json())
    return SegmentFiles(folder, record)
