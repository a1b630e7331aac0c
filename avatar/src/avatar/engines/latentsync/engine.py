"""The engine as the pipeline sees it: a person's video, a sound, and finished pictures in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from avatar.encode.sound import mono_blocks
from avatar.engines.ahead import ahead
from avatar.engines.base import EngineReport, Pixels
from avatar.engines.card import answering_card
from avatar.engines.card_memory import out_of_memory
from avatar.engines.latentsync import INFO
from avatar.engines.latentsync.align import TEMPLATE, Floats, crop_size, ratio, similarity
from avatar.engines.latentsync.clip import Clip, FrameInput, Settings
from avatar.engines.latentsync.face_placement import (
    LEAST_EYE_DISTANCE_PX,
    FacePlacement,
    PlacementTracker,
    TrackingReport,
)
from avatar.engines.latentsync.faces import cut_out
from avatar.engines.latentsync.loading import Networks
from avatar.engines.latentsync.memory import Plan
from avatar.engines.latentsync.pauses import Flags, LipState, PauseFader, fade_frames, pause_frames
from avatar.engines.latentsync.shapes import FPS, SAMPLE_RATE_HZ
from avatar.engines.latentsync.sound import Sound, SoundFile, speech_steps, without_pauses
from avatar.engines.latentsync.whisper import LogMel, Tail, feature_blocks, frame_tokens
from avatar.engines.motion.footage import Footage, FrameReader, FrameTable
from avatar.engines.motion.framing import Framing
from avatar.engines.motion.timeline import frames_of_steps, lay_out
from avatar.engines.resume_cache import NO_CACHE, ResumeCache
from avatar.errors import InvalidInput
from avatar.face.follow import NARROW_SHARE, NEVER_CLOSE, FaceFollower
from avatar.face.tracker import FaceTracker, declare, open_aligning_tracker
from avatar.spec import Notice, VideoFace

__all__ = ["AHEAD_THREADS", "INFO", "Job", "LatentSync", "prefetch_frames", "read_footage"]

_HELD_BYTES = 96 << 20
"""Frames kept in memory while footage plays backwards."""
_AHEAD_BYTES, _AHEAD_LEAST = 192 << 20, 4
"""Of frames that wait for the card: what a group of chunks needs next, as far as memory allows."""
AHEAD_THREADS = 2
"""Of torch, beside a card: what is left to do on the processor is cutting out faces."""
_CPU = torch.device("cpu")

_NO_MOTION = "The denoiser's checkpoint holds no motion modules: frames are drawn one by one and may flicker."

OpenTracker = Callable[[], FaceTracker]


@dataclass(frozen=True, slots=True)
class Job:
    """video: as people chose it. sound: a WAV of any rate, which has the length of the result. gated: whether
    pauses are silenced for the networks. tail: see `whisper.Tail`. drawn: gives pictures of `size` in place
    of the video's, as many as `frames`; it runs in a thread of its own.
    """

    face: VideoFace
    video: Path
    name: str
    sound: Path
    frames: int
    size: tuple[int, int]
    fps: int = FPS
    gated: bool = True
    tail: Tail = "tone"
    drawn: Callable[[], Iterator[Pixels]] | None = None


class LatentSync:
    """Networks that are ready to draw clips."""

    def __init__(
        self,
        networks: Networks,
        plan: Plan,
        settings: Settings | None = None,
        *,
        tracker: OpenTracker = open_aligning_tracker,
    ) -> None:
        self._networks, self._plan = networks, plan
        self._settings = settings or Settings()
        self._open_tracker = tracker

    @property
    def mode(self) -> str:
        """Returns how much of a card it takes; empty without one."""
        return self._plan.mode

    @contextmanager
    def pictures(
        self,
        job: Job,
        folder: Path,
        report: EngineReport,
        check: Callable[[], None] = lambda: None,
        resume_cache: ResumeCache = NO_CACHE,
    ) -> Iterator[Iterator[Pixels]]:
        """BGR pictures of `job.size`, `job.frames` of them. `folder` holds the sound for the networks
        meanwhile; `resume_cache` what a stopped run of the same had finished.

        Fills `report` while they are made; raises `face.not_found` after the last when no frame had a face,
        `video.*` for footage that cannot be used, `gpu.out_of_memory` and `gpu.lost`.
        """
        if not self._networks.motion:
            report.notices.append(Notice(code="weights.no_motion", message=_NO_MOTION))
        sound, speech = write_network_sound(job.sound, folder / "heard.f32", gated=job.gated)
        tracking = TrackingReport.for_frames(job.frames)
        clip = Clip(self._networks, self._plan, self._settings, check, resume_cache)

        def inputs_of_job() -> Iterator[FrameInput]:
            if self._plan.device.type != "cpu":
                torch.set_num_threads(AHEAD_THREADS)
            frame_inputs = self._frame_inputs(job, sound, tracking, report)
            return (
                frame_inputs if job.face.pauses == "drawn" else _fade_into_pauses(frame_inputs, speech, job)
            )

        with ahead(inputs_of_job, prefetch_frames(self._settings, self._plan, job.size)) as frame_inputs:
            yield self._translate_card_errors(clip.draw(frame_inputs, job.frames), job, tracking, report)

    def _translate_card_errors(
        self, pictures: Iterator[Pixels], job: Job, tracking: TrackingReport, report: EngineReport
    ) -> Iterator[Pixels]:
        try:
            with answering_card():
                yield from pictures
        except torch.cuda.OutOfMemoryError as error:
            raise out_of_memory(error, low=self._plan.park, engine=INFO.name) from error
        if not tracking.found.any():
            raise InvalidInput(
                "face.not_found",
                f"No face was found in any frame of {job.name} that the speech needs.",
                "Use a video of a well lit person who looks into the camera.",
            )
        tracking.tell(job.name, report)

    def _frame_inputs(
        self, job: Job, sound: Sound, tracking: TrackingReport, report: EngineReport
    ) -> Iterator[FrameInput]:
        """Yields the inputs of the networks for each frame. Runs in a thread: it waits for no card."""
        side = self._settings.side_px
        pictures = read_footage(job, report) if job.drawn is None else job.drawn()
        follower = PlacementTracker(side)
        blocks = feature_blocks(LogMel(sound, job.tail), self._networks.whisper)
        tokens = frame_tokens(blocks, job.frames, job.fps)
        with closing(self._open_tracker()) as tracker:
            declare(tracker, report)
            # A photo's face is where it is known to be: a part of the picture tells nothing more of it.
            close = NARROW_SHARE if job.drawn is None else NEVER_CLOSE
            speaker = FaceFollower(
                tracker, job.face.face_index, close_below=close, least_eye_px=LEAST_EYE_DISTANCE_PX
            )
            for index, (picture, audio_embeds) in enumerate(zip(pictures, tokens, strict=True)):
                placement = follower.update(speaker.next(picture))
                tracking.record(index, placement)
                matrix = _centred_crop(picture, side) if placement.matrix is None else placement.matrix
                crop = np.ascontiguousarray(cut_out(picture, matrix, side, _CPU)[:, :, ::-1])
                yield FrameInput(
                    picture,
                    placement if placement.matrix is not None else FacePlacement(None, 0.0, False),
                    crop,
                    audio_embeds,
                )


def prefetch_frames(settings: Settings, plan: Plan, size: tuple[int, int]) -> int:
    """Returns how many frames of `size` are prepared while a group of chunks is drawn."""
    group = (settings.length - settings.overlap) * plan.chunks
    return max(_AHEAD_LEAST, min(group, _AHEAD_BYTES // (size[0] * size[1] * 3)))


def read_footage(job: Job, report: EngineReport) -> Iterator[Pixels]:
    """Yields the frames of the footage that the result shows."""
    footage = Footage.open(job.video, job.name)
    table, order = select_frames(footage, job)
    framing = Framing.cover(footage, job.size)
    held = max(4, _HELD_BYTES // (job.size[0] * job.size[1] * 3))
    reader = FrameReader(footage, table, framing.picture, held)
    yield from reader.read(order.tolist())
    if reader.missing:
        report.notices.append(
            Notice(
                code="video.damaged",
                message=f"{reader.missing} frames of {job.name} did not decode; neighbours stand in.",
            )
        )


def select_frames(footage: Footage, job: Job) -> tuple[FrameTable, npt.NDArray[np.int64]]:
    """Returns the frame table of the chosen range, and the index into it for each frame of the result."""
    start, end = job.face.start_ms, job.face.end_ms
    needed = start + job.frames * 1000 / job.fps * 1.06 + 200
    table = footage.table(start, needed if end is None else min(float(end), needed))
    frames = frames_of_steps(table, start, job.fps, limit=job.frames)
    if not len(frames):
        raise InvalidInput(
            "video.empty_range",
            f"{job.name} has no frame from {start} ms on that says when it shows.",
            "Choose a start within the length of the video, before its end.",
        )
    steps = np.arange(len(frames))
    # Turns lie at the very ends: nothing is known yet of where the head is still.
    from_end = np.minimum(steps, len(frames) - 1 - steps).astype(np.float32)
    return table, frames[lay_out(job.face.fit, len(frames), job.frames, job.fps, from_end)]


def write_network_sound(wav: Path, path: Path, *, gated: bool) -> tuple[SoundFile, Flags]:
    """Writes the sound at 16 kHz to `path`, where an hour of it takes no memory, and returns it, with the
    20 ms steps of it that hold speech. gated: silences pauses.
    """
    with path.open("wb") as file:
        for block in mono_blocks(wav, SAMPLE_RATE_HZ):
            file.write(np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32).tobytes())
    if path.stat().st_size == 0:
        path.write_bytes(bytes(4 * SAMPLE_RATE_HZ // 10))
    sound = SoundFile(path)
    speech = speech_steps(sound)
    if gated:
        with path.open("r+b") as file:
            for block in without_pauses(sound, speech):
                file.write(block.tobytes())
    return sound, speech


def _fade_into_pauses(frame_inputs: Iterator[FrameInput], speech: Flags, job: Job) -> Iterator[FrameInput]:
    """Yields the shots, with the strength lowered where the filmed mouth may rest."""
    lips = LipState()
    pauses = pause_frames(speech, job.frames, job.fps)
    known = (
        (frame_input, lips.update(frame_input.placement.lips) and bool(pause))
        for frame_input, pause in zip(frame_inputs, pauses, strict=True)
    )
    for frame_input, shown in PauseFader[FrameInput](fade_frames(job.fps)).apply(known):
        yield (
            frame_input
            if shown == 1
            else replace(
                frame_input,
                placement=replace(frame_input.placement, strength=frame_input.placement.strength * shown),
            )
        )


def _centred_crop(picture: Pixels, side_px: int) -> Floats:
    """Returns the matrix of a crop in the middle, for frames before any face; nothing of it shows."""
    height, width = picture.shape[:2]
    crop_width, crop_height = crop_size(side_px)
    scale = max(crop_width / width, crop_height / height)
    middle = np.array([width, height]) / 2
    template = TEMPLATE * ratio(side_px)
    source = (template - np.array([crop_width, crop_height]) / 2) / scale + middle
    return similarity(source, template)[0]
