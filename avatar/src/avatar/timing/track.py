"""Speech to control track: the one door of `avatar.timing`, called between speech and engine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from avatar.errors import InvalidInput
from avatar.speech.sound import STEPS_PER_SECOND, power
from avatar.timing.acting import Acting
from avatar.timing.articulators import mouth_curves, skew_curve
from avatar.timing.body import body_motion
from avatar.timing.coarticulation import as_curve
from avatar.timing.eyes import blinks, gaze
from avatar.timing.head import at_edges, head_motion
from avatar.timing.style import MotionStyle
from avatar.tracks import MOOD_CHANNELS, ControlTrack, SpeechTrack

PHRASE_PAUSE_MS = 150
QUIET_SHARE = {"engine": 0.72, "aligned": 0.72, "recognised": 0.4, "energy": 0.15}
"""Opening of a quiet sound as a share of a loud one: the less is known, the more loudness leads."""
WINDOW_S = 0.06
LOUD_PERCENTILE = 85
FLOOR = 0.003
"""Below this root mean square (full scale = 1) nothing counts as speech: -50 dB."""


def control_track(
    speech: SpeechTrack,
    fps: float,
    seed: int,
    *,
    style: MotionStyle | None = None,
    acting: Acting | None = None,
) -> ControlTrack:
    """Returns the motion of the face during `speech`: ceil(duration_ms * fps / 1000) frames.

    The same speech, fps, seed, style and acting give the same curves, byte for byte. A frame shows its
    middle, a little ahead of the sound. Memory: about 1 MB per minute while it works.
    """
    style = style or MotionStyle()
    if fps <= 0:
        raise InvalidInput("timing.bad_fps", f"{fps} frames per second cannot be made.", "use 10 to 60")
    frames = frames_of(speech.duration_ms, fps)
    times = (np.arange(frames) + 0.5) / fps
    energy = loudness(speech.wav, times)
    ends = phrase_ends(speech)
    rest = at_edges(times)
    body = body_motion(speech, times, rest, seed, style, acting or Acting())
    head = body.join(head_motion(times, speech.words, ends, energy, seed, body.style, body.lively, rest))
    gaze_x, gaze_y = gaze(times, head.yaw_deg, head.pitch_deg, seed, style)
    # At the edges of a scene the eyes are on the viewer, as those of the scene before and after.
    gaze_x, gaze_y = rest * gaze_x + body.gaze_x, rest * gaze_y + body.gaze_y
    quiet = QUIET_SHARE.get(speech.phone_source, QUIET_SHARE["engine"])
    loud = quiet + (1 - quiet) * energy
    curves = mouth_curves(speech.phones, times + style.lead_ms / 1000, loud, round(fps), style)
    curves |= {
        "skew": skew_curve(times, seed),
        "blink": as_curve(blinks(times, ends, seed, style), 0, 1),
        "gaze_x": as_curve(gaze_x, -1, 1),
        "gaze_y": as_curve(gaze_y, -1, 1),
        "brow": as_curve(head.brow, -1, 1),
        "yaw_deg": as_curve(head.yaw_deg, -90, 90),
        "pitch_deg": as_curve(head.pitch_deg, -90, 90),
        "roll_deg": as_curve(head.roll_deg, -90, 90),
        "sway": as_curve(head.sway, -1, 1),
        "breath": as_curve(head.breath, 0, 1),
        "energy": as_curve(energy, 0, 1),
    }
    curves |= {name: as_curve(body.curves[name], -1, 1) for name in MOOD_CHANNELS}
    return ControlTrack(round(fps), curves, body.gestures)


def frames_of(duration_ms: int, fps: float) -> int:
    """Returns how many frames show a sound: the last one may last longer than it."""
    return max(1, math.ceil(round(duration_ms * fps / 1000, 6)))


def phrase_ends(speech: SpeechTrack) -> Sequence[float]:
    """Moments, in seconds, where a pause of more than 150 ms begins."""
    return [
        phone.start_ms / 1000
        for phone in speech.phones
        if not phone.ipa and phone.start_ms > 0 and phone.end_ms - phone.start_ms > PHRASE_PAUSE_MS
    ]


def loudness(wav: Path, times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Root mean square over 60 ms at `times` (seconds), 1 = the speech's loud parts (85th percentile),
    clipped to 0..1.
    """
    levels = power(wav)
    if not len(levels):
        return np.zeros(len(times))
    half = round(WINDOW_S * STEPS_PER_SECOND / 2)
    sums = np.concatenate(([0.0], np.cumsum(levels)))
    middle = np.rint(times * STEPS_PER_SECOND).astype(np.intp)
    first = np.clip(middle - half, 0, len(levels) - 1)
    last = np.clip(middle + half, first + 1, len(levels))
    rms = np.sqrt(np.maximum(sums[last] - sums[first], 0.0) / (last - first))
    voiced = rms[rms > FLOOR]
    if not len(voiced):
        return np.zeros(len(times))
    return np.asarray(np.clip(rms / np.percentile(voiced, LOUD_PERCENTILE), 0.0, 1.0))
