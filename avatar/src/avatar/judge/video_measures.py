"""Measures rendered video by looking at it again: do the lips match?

Called by the tests of every engine, of whole farms, and by `make look` on an operator's own footage.
MediaPipe Face Mesh tracks each frame for itself (static mode): its tracking mode smooths over time and would
flatter a late or jittering mouth.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from avatar.errors import InvalidInput, Unavailable
from avatar.face.quiet import quiet_native_logs
from avatar.media_files import open_media
from avatar.pipeline.mouth_check import distance, eye_distance, lip_gap
from avatar.tracks import ControlTrack, Phone

Pixels = npt.NDArray[np.uint8]
Landmarks = npt.NDArray[np.float32]
Signal = npt.NDArray[np.float32]
Frames = npt.NDArray[np.bool_]

# Pairs of Face Mesh points: upper and lower lids, corners of each eye.
_LID_PAIRS = ((159, 145), (158, 153), (386, 374), (385, 380))
_EYE_WIDTHS = ((33, 133), (362, 263))
_BILABIALS = ("p", "b", "m")
_OPEN_VOWELS = "aɑæɒɔʌɐ"
_MAX_LAG_FRAMES_S = 0.4
_SILENCE_EDGE_MS = 160

MIN_BILABIALS_CLOSED = 0.98
CLOSED_ABOVE_REST_E = 0.010
"""Lips count as closed below rest + this, in E (distance of the outer eye corners)."""
OPEN_ABOVE_REST_E = 0.020
"""An open vowel has to reach rest + this."""
MAX_REST_E = 0.035
"""Lips at rest are never read further apart; a mouth that never shuts has no rest of its own."""


@dataclass(frozen=True, slots=True)
class Observation:
    """The signals that the tracker measured. All signals float32 (frames,), NaN where no face was found.

    aperture, width: gap of the inner lips and distance of the mouth corners in E;
    eye: lid gap over eye width; yaw_deg: + when the face turns to the picture's right;
    landmarks (frames, 478, 3) in pixels.
    """

    aperture: Signal
    width: Signal
    eye: Signal
    yaw_deg: Signal
    landmarks: Landmarks

    @property
    def frames(self) -> int:
        return len(self.aperture)

    @property
    def seen(self) -> npt.NDArray[np.bool_]:
        return np.isfinite(self.aperture)


def observation(points: Landmarks) -> Observation:
    """Signals of landmarks (frames, 478, 3)."""
    lids = np.mean([distance(points, a, b, planar=True) for a, b in _LID_PAIRS], axis=0)
    widths = np.mean([distance(points, a, b) for a, b in _EYE_WIDTHS], axis=0)
    across = points[:, 263] - points[:, 33]
    return Observation(
        aperture=lip_gap(points),
        width=(distance(points, 61, 291) / eye_distance(points)).astype(np.float32),
        eye=(lids / np.maximum(widths, 1e-6)).astype(np.float32),
        yaw_deg=np.degrees(np.arctan2(across[:, 2], across[:, 0])).astype(np.float32),
        landmarks=points,
    )


@dataclass(frozen=True, slots=True)
class SyncReport:
    """Figures of one clip; None where the clip gives nothing to judge (no blink, no bilabial, no silence)."""

    aperture_r: float
    lag_ms: float
    gain: float
    rest_e: float
    bilabials: int
    bilabials_closed: float | None
    open_vowels: float | None
    silence_motion: float | None
    width_r: float | None
    blink_r: float | None
    background_ssim: float | None
    tracked: float


def judge_sync(
    seen: Observation,
    control: ControlTrack,
    phones: Sequence[Phone],
    *,
    background_ssim: float | None = None,
    frames: Frames | None = None,
) -> SyncReport:
    """Compare signals that were tracked already; `frames` limits the judgement to some of them."""
    count = min(seen.frames, control.frames)
    selected = np.ones(count, dtype=bool) if frames is None else frames[:count]
    use = seen.seen[:count] & selected
    if np.count_nonzero(use) < 10:
        raise ValueError("fewer than ten frames to judge")
    target = control.aperture_e()[:count]
    aperture = _filled(seen.aperture[:count], use)
    rest = float(np.percentile(aperture[use], 5))
    closed_rest = min(rest, MAX_REST_E)
    fps = control.fps
    gain = float(np.cov(target[use], aperture[use])[0, 1] / max(float(np.var(target[use], ddof=1)), 1e-12))

    bilabials = [
        span for phone in phones if phone.ipa[:1] in _BILABIALS if (span := _span(phone, fps, count, use))
    ]
    closed = [aperture[a:b].min() < closed_rest + CLOSED_ABOVE_REST_E for a, b in bilabials]
    vowels = [
        aperture[span[0] : span[1]].max() > closed_rest + OPEN_ABOVE_REST_E
        for phone in phones
        if any(sound in phone.ipa for sound in _OPEN_VOWELS) and (span := _span(phone, fps, count, use))
    ]
    return SyncReport(
        aperture_r=_correlation(target, aperture, use) or 0.0,
        lag_ms=_lag_ms(target, aperture, fps),
        gain=gain,
        rest_e=rest,
        bilabials=len(closed),
        bilabials_closed=float(np.mean(closed)) if closed else None,
        open_vowels=float(np.mean(vowels)) if vowels else None,
        silence_motion=_silence_motion(aperture, phones, fps, use),
        width_r=_correlation(control["wide"][:count], seen.width[:count], use, min_std=0.05),
        blink_r=_correlation(-control["blink"][:count], seen.eye[:count], use, min_std=0.05),
        background_ssim=background_ssim,
        tracked=float(np.mean(seen.seen[:count][selected])),
    )


def _filled(signal: Signal, use: Frames) -> Signal:
    """The signal with gaps bridged linearly."""
    index = np.arange(len(signal))
    return np.interp(index, index[use], signal[use]).astype(np.float32)


def _correlation(a: Signal, b: Signal, use: Frames, *, min_std: float = 0.0) -> float | None:
    """Pearson's r over the frames in use; None when the intended curve `a` hardly moves."""
    if float(np.std(a[use])) <= min_std:
        return None
    if float(np.std(b[use])) < 1e-6:
        return 0.0
    return float(np.corrcoef(a[use], b[use])[0, 1])


def _lag_ms(target: Signal, measured: Signal, fps: int) -> float:
    """Delay of `measured` behind `target`: peak of the correlation over shifts, refined by a parabola."""
    reach = min(round(_MAX_LAG_FRAMES_S * fps), len(target) // 3)
    shifts = np.arange(-reach, reach + 1)
    scores = np.array([_shifted_r(target, measured, int(shift)) for shift in shifts])
    peak = int(np.argmax(scores))
    offset = 0.0
    if 0 < peak < len(scores) - 1:
        left, middle, right = scores[peak - 1 : peak + 2]
        bend = left - 2 * middle + right
        offset = float(0.5 * (left - right) / bend) if bend < -1e-9 else 0.0
    return float((shifts[peak] + offset) * 1000.0 / fps)


def _shifted_r(target: Signal, measured: Signal, shift: int) -> float:
    a, b = (
        (target[: len(target) - shift], measured[shift:])
        if shift >= 0
        else (target[-shift:], measured[:shift])
    )
    if np.std(a) < 1e-6 or np.std(b) < 1e-6:
        return -1.0
    return float(np.corrcoef(a, b)[0, 1])


def _span(phone: Phone, fps: int, count: int, use: Frames) -> tuple[int, int] | None:
    """Frames of a phone, one more on either side; None when none of them is in use."""
    first = max(0, int(np.floor(phone.start_ms * fps / 1000)) - 1)
    last = min(count, int(np.ceil(phone.end_ms * fps / 1000)) + 1)
    return (first, last) if last > first and use[first:last].all() else None


def _silence_motion(aperture: Signal, phones: Sequence[Phone], fps: int, use: Frames) -> float | None:
    """Mean squared step of the lip gap in silence over that in speech."""
    speech = np.zeros(len(aperture), dtype=bool)
    quiet = np.ones(len(aperture), dtype=bool)
    times = np.arange(len(aperture)) * 1000.0 / fps
    for phone in phones:
        if phone.ipa:
            speech |= (times >= phone.start_ms) & (times < phone.end_ms)
            quiet &= (times < phone.start_ms - _SILENCE_EDGE_MS) | (times > phone.end_ms + _SILENCE_EDGE_MS)
    steps = np.diff(aperture, prepend=aperture[:1]) ** 2
    pair = use & np.roll(use, 1)
    pair[0] = False
    if np.count_nonzero(quiet & pair) < 3 or not (speech & pair).any():
        return None
    return float(steps[quiet & pair].mean() / max(float(steps[speech & pair].mean()), 1e-12))


def frames_of(video: Path) -> Iterator[Pixels]:
    """The frames of a video file as BGR, one at a time."""
    with ExitStack() as stack:
        try:
            container = stack.enter_context(open_media(video))
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise InvalidInput("video.unreadable", f"{video.name} cannot be opened: {error}") from error
        if not container.streams.video:
            raise InvalidInput("video.no_frames", f"{video.name} has no picture")
        for frame in container.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="bgr24"), dtype=np.uint8)


def watch(video: Path | Iterable[Pixels]) -> Observation:
    """Find the largest face in every frame.

    Raises `face.unavailable` without MediaPipe and `video.no_frames` when there is nothing to look at.
    """
    frames = frames_of(video) if isinstance(video, Path) else video
    rows: list[Landmarks] = []
    with closing(_open_mesh()) as mesh:
        rows.extend(_largest_face(mesh, frame) for frame in frames)
    if not rows:
        raise InvalidInput("video.no_frames", "there is no frame to look at")
    return observation(np.stack(rows))


def _open_mesh() -> Any:
    try:
        with quiet_native_logs():
            from mediapipe.python.solutions import face_mesh
    except ImportError as error:
        raise Unavailable(
            "face.unavailable",
            "measuring a video needs MediaPipe, which is not installed",
            "install the worker with the `face` extra on Python 3.12 or older",
        ) from error
    with quiet_native_logs():
        mesh = face_mesh.FaceMesh(
            static_image_mode=True, max_num_faces=2, refine_landmarks=True, min_detection_confidence=0.3
        )
        # The graph starts in threads of its own: only a first picture proves that its start is over.
        mesh.process(np.zeros((64, 64, 3), np.uint8))
    return mesh


def _largest_face(mesh: Any, frame: Pixels) -> Landmarks:
    height, width = frame.shape[:2]
    faces = mesh.process(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)).multi_face_landmarks or []
    best = np.full((478, 3), np.nan, dtype=np.float32)
    best_size = 0.0
    for face in faces:
        points = np.array([(p.x * width, p.y * height, p.z * width) for p in face.landmark], dtype=np.float32)
        size = float(np.linalg.norm(points[10] - points[152]))
        if size > best_size:
            best, best_size = points, size
    return best
