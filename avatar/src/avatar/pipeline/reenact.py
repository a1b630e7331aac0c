"""A photo or video whose face moves as a video, a motion template or a spoken text says: `avatar reenact`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import astuple, dataclass, field
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from avatar.compose.colour import Pixels, Planes
from avatar.encode.atomic import atomic_files
from avatar.encode.mixing import has_sound
from avatar.encode.provenance import EngineRecord
from avatar.encode.segment_writer import segment_writer
from avatar.engines.kept import Kept
from avatar.engines.liveportrait.drive import Region
from avatar.engines.liveportrait.template import MotionTemplate, is_template, load_template
from avatar.engines.weights.checkpoint import import_torch
from avatar.engines.weights.store import models_folder
from avatar.errors import InvalidInput
from avatar.face.pictures import is_picture, read_picture
from avatar.face.portrait import flatten
from avatar.face.search import choose_face, find_faces
from avatar.face.tracker import FaceTracker, open_tracker
from avatar.pipeline.assemble import Companions, assemble_video
from avatar.pipeline.consent import require_consent
from avatar.pipeline.context import Context
from avatar.pipeline.files import require_mp4
from avatar.pipeline.glance import Glance
from avatar.pipeline.latentsync import tell_resumed, unfinished
from avatar.pipeline.meter import FrameMeter
from avatar.pipeline.record import SegmentRecord, spoken
from avatar.pipeline.segment import SEGMENT, SOUND, WORDS, SegmentFiles
from avatar.pipeline.voice_record import voice_record
from avatar.spec import (
    Canvas,
    Captions,
    Consent,
    Finished,
    MediaRef,
    Notice,
    Output,
    PhotoFace,
    RenderSpec,
    Scene,
    StageStarted,
    VideoFace,
)
from avatar.tracks import SpeechTrack

if TYPE_CHECKING:
    from avatar.engines.liveportrait.animator import Animator
    from avatar.engines.liveportrait.motion_values import Motion
    from avatar.engines.liveportrait.poses import DrivingFace, Manner

SCENE = "reenact"
SPOKEN_FPS = 25
PICTURED_S = 2
"""How long a photo shows the face of a driving picture; a video does to its end."""
MAX_SIDE_PX = 3840


@dataclass(frozen=True, slots=True)
class ReenactOptions:
    """How the face takes the motion on; see `avatar.engines.liveportrait.poses.Manner`. fresh: use nothing
    that a stopped run had finished.
    """

    region: Region = "all"
    relative: bool = True
    shut_lips: bool = True
    eyes: bool = False
    lips: bool = False
    stitching: bool = True
    strength: float = 1.0
    precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    models: Path | None = None
    fresh: bool = False
    compile: bool = False
    face_index: int | None = None

    def manner(self) -> Manner:
        from avatar.engines.liveportrait.drive import DriveStyle
        from avatar.engines.liveportrait.poses import Manner

        return Manner(DriveStyle(self.region, self.relative), self.shut_lips, self.eyes, self.lips)


@dataclass(frozen=True, slots=True)
class ReenactJob:
    """`driving` is a video, a picture or a motion template; without one, `text` is spoken."""

    source: Path
    driving: Path | None = None
    text: str | None = None
    consent: Consent | None = None
    save_template: Path | None = None
    options: ReenactOptions = field(default_factory=ReenactOptions)


@dataclass(frozen=True, slots=True)
class _Run:
    """Frames to write, and what is known of them once they are written."""

    canvas: Canvas
    frames: int
    pictures: Iterator[Pixels]
    lost: Callable[[], list[int]]


OpenAnimator = Callable[[ReenactOptions], "Animator"]


def reenact(
    job: ReenactJob, target: Path, context: Context, open_animator: OpenAnimator | None = None
) -> Finished:
    """Make `target`: as long as what drives it (a source video may end it earlier), with its sound.

    What a stopped run had drawn of the same is used. Raises Unavailable `torch.unavailable`,
    `weights.missing`, `gpu.out_of_memory`, `gpu.lost`; InvalidInput `face.not_found`, `template.*`,
    `consent.required`.
    """
    require_mp4(target)
    _require_other_names(job, target)
    photo = is_picture(job.source)
    scene = _scene(job, photo)
    require_consent(scene)
    template = None
    if job.driving is not None and is_template(job.driving):
        template = load_template(job.driving)
    import_torch()
    from avatar.engines.card import held_card
    from avatar.engines.liveportrait.engine import INFO

    kept = unfinished(context, fresh=job.options.fresh)
    with ExitStack() as stack:
        stack.enter_context(held_card(INFO.name, low=True))
        animator = (open_animator or _open_animator)(job.options)
        work = stack.enter_context(atomic_files(target.parent, ()))
        tracker = stack.enter_context(closing(open_tracker()))
        speech = None
        if job.driving is None:
            from avatar.speech import speak

            context.tell(StageStarted(stage="speech", scene=SCENE))
            speech = speak(scene, work, context.resolve)
        context.tell(StageStarted(stage="prepare", scene=SCENE))
        run = _photo_run if photo else _video_run
        made = run(job, template, speech, animator, tracker, context, kept)
        spec = RenderSpec(
            title=job.source.stem[:200],
            canvas=made.canvas,
            scenes=(scene,),
            output=Output(captions=Captions(mode="none" if speech is None else "soft")),
        )
        segment = _segment(spec, made, speech, job.driving, work / SCENE, context)
        tell_resumed(context, kept)
        done = assemble_video(spec, [segment], target, context)
    kept.forget()
    return done


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


def _scene(job: ReenactJob, photo: bool) -> Scene:
    source = MediaRef(path=str(job.source), name=job.source.name)
    index = job.options.face_index
    face = (
        PhotoFace(image=source, face_index=index, consent=job.consent)
        if photo
        else VideoFace(video=source, face_index=index, consent=job.consent)
    )
    if job.driving is not None:
        driving = MediaRef(path=str(job.driving), name=job.driving.name)
        return Scene(id=SCENE, audio=driving, face=face, lead_in_ms=0, tail_ms=0)
    if not photo or not (job.text or "").strip():
        raise InvalidInput(
            "reenact.no_driving",
            "Nothing says how the face should move.",
            "Name a video or a motion template with --driving; a photo may also --say a text.",
        )
    return Scene(id=SCENE, script=job.text, face=face)


def _photo_run(
    job: ReenactJob,
    template: MotionTemplate | None,
    speech: SpeechTrack | None,
    animator: Animator,
    tracker: FaceTracker,
    context: Context,
    kept: Kept,
) -> _Run:
    from avatar.engines.liveportrait.engine import batch_of
    from avatar.engines.liveportrait.poses import still_poses
    from avatar.engines.liveportrait.puppet import spoken_poses
    from avatar.engines.liveportrait.reenactment import Reenactment

    picture = _even(flatten(read_picture(job.source, max_side_px=MAX_SIDE_PX)))
    _require_size(picture)
    face = choose_face(find_faces(picture, tracker), job.options.face_index)
    drawing = Reenactment(animator, batch=batch_of(animator), kept=kept)
    source = drawing.face_of(picture, face.points)
    lost: Callable[[], list[int]]
    if speech is not None:
        from avatar.timing import control_track

        track = control_track(speech, SPOKEN_FPS, seed=0)
        poses = spoken_poses(source, face, track)
        frames, fps, lost = track.frames, SPOKEN_FPS, _none
    else:
        driving, frames, fps, lost, first = _driving(job, template, None, animator, tracker, context)
        poses = still_poses(source, driving, job.options.manner(), first)
    return _Run(_canvas(picture, fps), frames, drawing.photo(picture, source, poses), lost)


def _video_run(
    job: ReenactJob,
    template: MotionTemplate | None,
    speech: SpeechTrack | None,
    animator: Animator,
    tracker: FaceTracker,
    context: Context,
    kept: Kept,
) -> _Run:
    from avatar.engines.liveportrait.engine import batch_of
    from avatar.engines.liveportrait.filmed import Film
    from avatar.engines.liveportrait.reenactment import Reenactment

    film = Film(job.source, job.source.name)
    begin = _even(next(film.pictures()))
    _require_size(begin)
    driving, frames, fps, _, first = _driving(job, template, film.fps, animator, tracker, context)
    drawing = Reenactment(animator, batch=batch_of(animator), kept=kept)
    shown = ((_even(picture), points) for picture, points in film.tracked(tracker, job.options.face_index))
    pictures = drawing.video(shown, driving, job.options.manner(), first)
    return _Run(_canvas(begin, fps), min(frames, len(film)), pictures, lambda: drawing.lost)


def _driving(
    job: ReenactJob,
    template: MotionTemplate | None,
    fps: int | None,
    animator: Animator,
    tracker: FaceTracker,
    context: Context,
) -> tuple[Iterator[DrivingFace], int, int, Callable[[], list[int]], Motion | None]:
    """The driving faces, how many, at what rate, in which frames there was none, and what their changes are
    counted from if not from the first.
    """
    from avatar.engines.liveportrait.engine import batch_of
    from avatar.engines.liveportrait.filmed import LEAST_FPS, MAX_FRAMES, MOST_FPS, DrivingFilm, Film

    if template is not None:
        rate = fps or min(MOST_FPS, max(LEAST_FPS, round(template.fps)))
        count = max(1, round(len(template) * rate / template.fps))
        rows = np.minimum((np.arange(count) * template.fps / rate).astype(int), len(template) - 1)
        return (template.face(int(row)) for row in rows), count, rate, _none, None
    if job.driving is None:
        raise InvalidInput("reenact.no_driving", "Nothing says how the face should move.")
    if is_picture(job.driving):
        from avatar.engines.liveportrait.filmed import pictured_face
        from avatar.engines.liveportrait.poses import pictured

        picture = flatten(read_picture(job.driving, max_side_px=MAX_SIDE_PX))
        face = pictured_face(picture, choose_face(find_faces(picture, tracker), None).points, animator)
        count = MAX_FRAMES if fps else PICTURED_S * SPOKEN_FPS
        return repeat(face, count), count, fps or SPOKEN_FPS, _none, pictured(face)
    film = Film(job.driving, job.driving.name, fps)
    watched = DrivingFilm.watch(film, tracker, context.check)
    faces = watched.faces(animator, batch_of(animator))
    if job.save_template is not None:
        from avatar.engines.liveportrait.template import save_template, template_of

        kept = template_of(film.fps, list(faces))
        save_template(kept, job.save_template)
        faces = (kept.face(row) for row in range(len(kept)))
    return faces, len(film), film.fps, lambda: watched.lost, None


def _segment(
    spec: RenderSpec,
    made: _Run,
    speech: SpeechTrack | None,
    driving: Path | None,
    folder: Path,
    context: Context,
) -> SegmentFiles:
    from avatar.engines.liveportrait.engine import INFO

    with atomic_files(folder, (SEGMENT, SOUND, WORDS)) as work:
        context.tell(StageStarted(stage="frames", scene=SCENE, total_frames=made.frames))
        meter = FrameMeter(context.tell, SCENE, made.frames)
        glance = Glance(context.tell, SCENE)
        with segment_writer(work / SEGMENT, spec.canvas, spec.output.video) as writer:
            for picture in made.pictures:
                context.check()
                planes = Planes.of(picture)
                writer.write(planes)
                glance.see(planes)
                meter.count()
        duration_ms = round(writer.frames * 1000 / spec.canvas.fps)
        notices = _write_sound(speech, driving, duration_ms, work / SOUND, context)
        scene = spec.scenes[0]
        drawn = EngineRecord(role="face", name=INFO.name, version=INFO.version, licence=INFO.licence)
        record = SegmentRecord(
            scene=SCENE,
            scene_hash=spec.scene_hash(SCENE),
            fps=spec.canvas.fps,
            frames=writer.frames,
            duration_ms=duration_ms,
            words=() if speech is None else spoken(speech.words),
            phone_source="engine" if speech is None else speech.phone_source,
            engines=(drawn,) if speech is None else (voice_record(scene), drawn),
            poster_ms=min(duration_ms // 2, 5000),
            warnings=tuple(notices),
            lost_face_frames=tuple(_ranges(made.lost())),
        )
        (work / WORDS).write_text(record.model_dump_json())
    return SegmentFiles(folder, record)


def _write_sound(
    speech: SpeechTrack | None, driving: Path | None, duration_ms: int, target: Path, context: Context
) -> list[Notice]:
    """The speech, the driving video's sound, or silence."""
    from avatar.speech.decode import best_rate_hz, decode_into, probe_rate_hz
    from avatar.speech.sound import WavWriter

    if speech is not None:
        speech.wav.rename(target)
        return []
    silent = driving is None or is_template(driving) or is_picture(driving)
    if driving is None or silent or not has_sound(driving):
        with WavWriter(target, 48_000) as writer:
            writer.silence(duration_ms)
        return []
    with WavWriter(target, best_rate_hz(probe_rate_hz(driving))) as writer:
        decoded = decode_into(driving, writer)
    if not decoded.damaged:
        return []
    notice = Notice(
        code="speech.audio_damaged", message=f"Parts of the sound of {driving.name} could not be read."
    )
    context.tell(notice)
    return [notice]


def _none() -> list[int]:
    """No frame without a face."""
    return []


def _even(picture: Pixels) -> Pixels:
    """Without its last row and column where their number is odd: 4:2:0 needs pairs."""
    height, width = picture.shape[:2]
    return picture[: height // 2 * 2, : width // 2 * 2]


def _canvas(picture: Pixels, fps: int) -> Canvas:
    height, width = picture.shape[:2]
    return Canvas(width=width, height=height, fps=fps)


def _require_other_names(job: ReenactJob, target: Path) -> None:
    """The result's companions are named after it: `face.mp4` has its poster in `face.png`."""
    made = {(target.parent / name).resolve() for name in astuple(Companions.of(target))}
    for given in (job.source, job.driving):
        if given is not None and given.resolve() in made:
            raise InvalidInput(
                "output.overwrites_input",
                f"Making {target.name} would write over {given.name}, which it is made of.",
                "Give the result another name or folder.",
            )


def _require_size(picture: Pixels) -> None:
    height, width = picture.shape[:2]
    if min(width, height) < 64:
        raise InvalidInput(
            "video.too_small",
            f"The source is only {width} x {height} pixels.",
            "At least 64 x 64 are needed.",
        )


def _ranges(frames: list[int]) -> Iterator[tuple[int, int]]:
    """Inclusive ranges of ascending numbers."""
    begin = last = None
    for number in frames:
        if last is not None and number == last + 1:
            last = number
            continue
        if begin is not None and last is not None:
            yield begin, last
        begin = last = number
    if begin is not None and last is not None:
        yield begin, last
