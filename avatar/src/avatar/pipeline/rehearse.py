"""The whole photoreal chain on an operator's weights and video, step by step, and what is measured of it.

`avatar rehearse` calls it. What a step could not show says why; what was measured stays in the verdict.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from avatar.compose.footage import footage_size
from avatar.encode.atomic import make_folders
from avatar.engines.card_mode import MOUTH, Mode, share_of
from avatar.engines.neural.choice import roles_of
from avatar.engines.weights.checkpoint import import_torch
from avatar.engines.weights.store import ModelStore
from avatar.errors import AvatarError, Cancelled, InvalidInput, Unavailable
from avatar.face.insightface_adapter import FaceRecognizer
from avatar.face.landmarks import Picture
from avatar.judge.machine import machine_facts
from avatar.judge.mouth_measures import MAX_FLICKER_HZ, judge_mouth
from avatar.judge.speech_curves import (
    MAX_ALIGNED_LAG_MS,
    MIN_ALIGNED_R,
    SENTENCE,
    frontal_frames,
    speak_again,
    without_blinks,
)
from avatar.judge.verdict import PAGE, RECORD, Figure, Measure, Verdict
from avatar.judge.video_measures import MIN_BILABIALS_CLOSED, frames_of, judge_sync, watch
from avatar.pipeline.context import Context
from avatar.pipeline.files import describe
from avatar.pipeline.film import open_film, size_within, upright, write_jpeg
from avatar.pipeline.lipsync.video import require_side
from avatar.pipeline.read_spec import report_invalid_fields
from avatar.pipeline.render import render_video
from avatar.spec import (
    Canvas,
    Consent,
    Finished,
    MediaRef,
    Notice,
    PhotoFace,
    RenderSpec,
    Scene,
    VideoFace,
)

LIPSYNC: Final = "latentsync"
CHAIN: Final = "liveportrait+latentsync"
FPS = 25
"""The rate the checkpoints were trained at."""
MAX_SIDE_PX = 1920
MIN_FRAMES = 10
"""Fewer tell nothing of a mouth."""
NOT_ENDED = "the step did not end"
SAMPLES = 12
JUDGED_FRAMES = 250
"""Frames of each video that are judged: they are held in memory."""

CORRELATION = Measure(
    "sync: correlation", "", MIN_ALIGNED_R, None,
    "How closely the opening of the lips follows the sounds; lower, the mouth seems to say something else.",
)  # fmt: skip
LAG = Measure(
    "sync: lag", "ms", -MAX_ALIGNED_LAG_MS, MAX_ALIGNED_LAG_MS,
    "How far the lips are behind the sound; outside, viewers see that they are apart.",
)  # fmt: skip
CLOSURES = Measure(
    "sync: closed lips", "of p, b, m", MIN_BILABIALS_CLOSED, None,
    "The share of the sounds p, b and m in which the lips meet; lower, the speech looks mumbled.",
)  # fmt: skip
FLICKER = Measure(
    "flicker", "a second", None, MAX_FLICKER_HZ,
    "How often the mouth turns for a single frame; higher, it trembles.",
)  # fmt: skip
IDENTITY = Measure(
    "identity", "cosine", 0.6, None,
    "How similar the face is to the filmed one, by ArcFace; lower, it looks like somebody else.",
)  # fmt: skip
VRAM = Measure(
    "VRAM peak", "MiB", None, None,
    "The most GPU memory taken at once; higher, the mode does not fit the cards that it is chosen for.",
)  # fmt: skip
SPEED = Measure(
    "frames per second", "", 0.25, None,
    "From the text to the file, loading included; at the limit a minute of video takes 100 minutes.",
)  # fmt: skip
MEASURES = (CORRELATION, LAG, CLOSURES, FLICKER, IDENTITY, VRAM, SPEED)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """weights: the models folder. within_s: when to end; None for no end. cpu: without a card, in the size
    of the video.
    """

    video: Path
    weights: Path
    text: str | None = None
    consent: Consent | None = None
    within_s: float | None = None
    cpu: bool = False


SceneOf = Callable[[Rehearsal, Path, Context], tuple[Canvas, Scene]]


def rehearse_chain(rehearsal: Rehearsal, folder: Path, context: Context) -> Finished:
    """Makes a video of each step in `folder` and judges it; the verdict is written before each step and as
    its figures come.

    Raises what the first failed step raised, such as `rehearse.no_card` and `rehearse.time_over`, and
    AvatarError `rehearse.missed` where a figure misses its limit, all after the verdict was written.
    """
    make_folders(folder)
    context = replace(context, check=_until(rehearsal.within_s, context.check))
    verdict = Verdict(rehearsal.video.name, rehearsal.text or SENTENCE, machine_facts(), _weights(rehearsal))
    steps: dict[str, SceneOf] = {"lip sync": _filmed_scene, "chain": _photo_scene}
    for name in steps:
        verdict.put(*(one.judge(name, None, "the step was not begun") for one in MEASURES))
    first_error: AvatarError | None = None
    results: list[Finished] = []
    for name, scene_of in steps.items():
        verdict.put(*(one.judge(name, None, NOT_ENDED) for one in MEASURES))
        verdict.write(folder)
        try:
            _require_card(cpu=rehearsal.cpu)
            context.check()
            canvas, scene = scene_of(rehearsal, folder, context)
            video = folder / f"{name.replace(' ', '-')}.mp4"
            results.append(_render(name, canvas, scene, video, context, verdict))
            verdict.write(folder)
            verdict.put(*_mouth_figures(name, video, scene, context))
            verdict.put(_identity(name, video, rehearsal, context))
        except AvatarError as error:
            first_error = first_error or error
            verdict.fail(name, NOT_ENDED, error, MEASURES)
            if isinstance(error, Cancelled):
                break
    verdict.write(folder)
    if first_error is not None:
        raise first_error
    return _result(verdict, results, folder)


def _result(verdict: Verdict, results: list[Finished], folder: Path) -> Finished:
    if missed := verdict.having("missed"):
        one = missed[0]
        raise AvatarError(
            "rehearse.missed",
            f"{len(missed)} figures miss their limits, the first is {one.measure} of {one.step}:"
            f" {one.shown}, and {one.threshold} is the limit.",
            f"Open {folder / PAGE}.",
            [f"{one.step}: {one.measure} {one.shown}, limit {one.threshold}" for one in missed],
        )
    notices = (
        Notice(code="rehearse.not_measured", message=f"{one.step}: {one.measure} not measured: {one.why}")
        for one in verdict.having("not measured")
    )
    videos = tuple(file for done in results for file in done.files if file.role == "video")
    pages = (describe("page", folder / PAGE), describe("verdict", folder / RECORD))
    return Finished(
        files=(*videos, *pages),
        duration_ms=sum(done.duration_ms for done in results),
        frames=sum(done.frames for done in results),
        warnings=tuple(notices),
        engines=tuple(use for done in results for use in done.engines),
    )


def _render(
    name: str, canvas: Canvas, scene: Scene, video: Path, context: Context, verdict: Verdict
) -> Finished:
    """Makes the video of a step, and puts its speed and memory into `verdict`."""
    torch = import_torch()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    spec = RenderSpec(title=f"Rehearsal: {name}", canvas=canvas, scenes=(scene,))
    began = time.monotonic()
    done = render_video(spec, video, context)
    verdict.put(SPEED.judge(name, done.frames / (time.monotonic() - began)), _vram(name, done, context))
    verdict.videos[name] = video.name
    return done


def _mouth_figures(name: str, video: Path, scene: Scene, context: Context) -> tuple[Figure, ...]:
    frames = list(islice(_checked(frames_of(video), context), JUDGED_FRAMES))
    seen = watch(_checked(iter(frames), context))
    control, phones = speak_again(scene, FPS)
    frontal = frontal_frames(seen)[: control.frames]
    if (found := np.count_nonzero(frontal)) < MIN_FRAMES:
        why = f"{found} of {len(frames)} frames show a face from the front, {MIN_FRAMES} are needed"
        return tuple(one.judge(name, None, why) for one in (CORRELATION, LAG, CLOSURES, FLICKER))
    sync = judge_sync(seen, without_blinks(control), phones, frames=frontal)
    return (
        CORRELATION.judge(name, sync.aperture_r),
        LAG.judge(name, sync.lag_ms),
        CLOSURES.judge(name, sync.bilabials_closed, "no p, b or m is said by a face seen from the front"),
        FLICKER.judge(name, judge_mouth(frames, seen, phones, FPS).flicker_hz),
    )


def _identity(name: str, video: Path, rehearsal: Rehearsal, context: Context) -> Figure:
    """Returns the mean cosine between sampled faces of the result and the mean of the filmed ones."""
    try:
        recognizer = FaceRecognizer(ModelStore(rehearsal.weights))
    except AvatarError as error:
        return IDENTITY.judge(name, None, f"{error.message} {error.hint}")
    found = []
    for path in (rehearsal.video, video):
        embeddings = [recognizer.embed(picture) for picture in _samples(path, context)]
        found.append([one for one in embeddings if one is not None])
        if not found[-1]:
            return IDENTITY.judge(name, None, f"InsightFace found no face in {path.name}")
    filmed, drawn = (np.stack(one) for one in found)
    mean = filmed.mean(axis=0)
    return IDENTITY.judge(name, float((drawn @ (mean / np.linalg.norm(mean))).mean()))


def _vram(name: str, done: Finished, context: Context) -> Figure:
    if (peak := context.holder.peak_mib) is None:
        return VRAM.judge(name, None, "no card was used")
    mode: Mode = done.engines[0].mode  # type: ignore[assignment]
    limit = share_of(MOUTH, mode, wide=context.holder.wide).from_mib
    return replace(VRAM, high=limit).judge(name, peak)


def _filmed_scene(rehearsal: Rehearsal, folder: Path, context: Context) -> tuple[Canvas, Scene]:
    """The filmed person says the text: LatentSync draws the mouth."""
    canvas = _canvas(rehearsal.video, context)
    video = MediaRef(path=str(rehearsal.video.absolute()), name=rehearsal.video.name)
    with report_invalid_fields():
        face = VideoFace(video=video, engine=LIPSYNC, consent=rehearsal.consent)
        return canvas, Scene(id="rehearsal", script=rehearsal.text or SENTENCE, face=face)


def _photo_scene(rehearsal: Rehearsal, folder: Path, context: Context) -> tuple[Canvas, Scene]:
    """A picture of the person, moved by LivePortrait as the video moves, says the text by LatentSync."""
    canvas = _canvas(rehearsal.video, context) if rehearsal.cpu else Canvas(fps=FPS)
    photo = folder / "photo.jpg"
    write_jpeg(_frontal_picture(rehearsal.video, context), photo)
    video = MediaRef(path=str(rehearsal.video.absolute()), name=rehearsal.video.name)
    with report_invalid_fields():
        image = MediaRef(path=str(photo.absolute()), name=f"a picture of {rehearsal.video.name}")
        face = PhotoFace(image=image, driving=video, engine=CHAIN, consent=rehearsal.consent)
        return canvas, Scene(id="rehearsal", script=rehearsal.text or SENTENCE, face=face)


def _canvas(video: Path, context: Context) -> Canvas:
    """In the size of the video, at most 1920 pixels wide or high. Raises InvalidInput `media.missing`,
    `media.empty`, `video.unreadable`, `video.no_frames`, `video.too_small`.
    """
    context.resolve(MediaRef(path=str(video), name=video.name))
    width, height = footage_size(video, video.name)
    require_side(width, height, video.name)
    scale = min(1.0, MAX_SIDE_PX / max(width, height))
    return Canvas(width=int(width * scale) // 2 * 2, height=int(height * scale) // 2 * 2, fps=FPS)


def _frontal_picture(video: Path, context: Context) -> Picture:
    """Returns the sampled frame (h, w, 3) whose face looks ahead with the lips closed. Raises InvalidInput
    `face.not_found`.
    """
    pictures = list(_samples(video, context))
    seen = watch(pictures)
    if not seen.seen.any():
        raise InvalidInput(
            "face.not_found",
            f"No face was found in {SAMPLES} frames of {video.name}.",
            "Use a video of one person who looks into the camera.",
        )
    return pictures[int(np.nanargmin(np.abs(seen.yaw_deg) + 100 * seen.aperture))]


def _samples(video: Path, context: Context) -> Iterator[Picture]:
    """Yields frames (h, w, 3) spread over the video. Raises as `open_film`."""
    with open_film(video) as film:
        for index in range(SAMPLES):
            context.check()
            frame = film.frame_at((index + 0.5) / SAMPLES * film.duration_s)
            if frame is not None:
                yield upright(frame, *size_within(frame, MAX_SIDE_PX, MAX_SIDE_PX))


def _checked(frames: Iterator[Picture], context: Context) -> Iterator[Picture]:
    for frame in frames:
        context.check()
        yield frame


def _until(within_s: float | None, check: Callable[[], None]) -> Callable[[], None]:
    """Returns a check that also raises Unavailable `rehearse.time_over` from then on."""
    end = None if within_s is None else time.monotonic() + within_s

    def check_time() -> None:
        check()
        if end is not None and time.monotonic() > end:
            raise Unavailable(
                "rehearse.time_over",
                f"The {(within_s or 0) / 60:g} minutes of the rehearsal have passed.",
                "Give it more with --within; parts that were finished are used again.",
            )

    return check_time


def _require_card(*, cpu: bool) -> None:
    """Raises Unavailable `torch.unavailable`, `rehearse.no_card`, and as `open_card`."""
    import_torch()
    from avatar.engines.card import open_card

    if not cpu and open_card(CHAIN) is None:
        raise Unavailable(
            "rehearse.no_card",
            "There is no NVIDIA card with its driver here, and the networks need one.",
            "Run it on a machine with a card; --cpu is a dry run on the processor, minutes for each second.",
        )


def _weights(rehearsal: Rehearsal) -> dict[str, str]:
    """Returns the pinned SHA-256 of each role of the chain, or its state."""
    found = ModelStore(rehearsal.weights).survey()
    return {one.file.role: one.sha256 or one.state for one in found if one.file.role in roles_of(CHAIN)}
