"""Measures two videos of one spec against each other and at their joints; run in the worker's environment by
test_farm.py.

Called as `python film_measures.py VIDEO REFERENCE JOINT...`, each joint the number of the first frame of a
scene. Prints one JSON object.
"""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from avatar.judge.video_measures import frames_of
from backgrounds import ssim_in_mask

NEAR_S = 0.02
"""A click is looked for this far to both sides of a joint."""


def compare(video: Path, reference: Path) -> dict[str, Any]:
    """SSIM of each pair of decoded frames."""
    found, wanted = list(frames_of(video)), list(frames_of(reference))
    whole = np.ones(wanted[0].shape[:2], dtype=bool)
    values = [ssim_in_mask(a, b, whole) for a, b in zip(found, wanted, strict=False)]
    return {"frames": len(found), "reference_frames": len(wanted), "least_ssim": min(values)}


def steps(video: Path, joints: list[int]) -> list[float]:
    """Mean change of luma (0 to 255) from the last frame of a scene to the first of the next."""
    luma = [np.asarray(frame, dtype=np.float32).mean(axis=2) for frame in frames_of(video)]
    return [float(np.abs(luma[first] - luma[first - 1]).mean()) for first in joints]


def clock(video: Path) -> dict[str, Any]:
    """Whether frames and sound packets follow each other without a gap, and how long both last in seconds."""
    with av.open(str(video)) as container:
        picture, sound = container.streams.video[0], container.streams.audio[0]
        shown = sorted(p.pts for p in container.demux(picture) if p.pts is not None)
        per_frame = float(picture.average_rate)
        distances = {float((b - a) * picture.time_base) * per_frame for a, b in pairwise(shown)}
        container.seek(0)
        heard = [(p.pts, p.duration) for p in container.demux(sound) if p.pts is not None]
        gaps = sum(begin + length != after for (begin, length), (after, _) in pairwise(heard))
        first, last = heard[0][0], heard[-1][0] + heard[-1][1]
        return {
            "frame_distances": sorted(distances),
            "first_frame": float(shown[0] * picture.time_base),
            "sound_gaps": gaps,
            "video_s": len(shown) / per_frame,
            "sound_s": float((last - max(0, first)) * sound.time_base),
            "fps": per_frame,
        }


def clicks(video: Path, joints: list[int], fps: float) -> dict[str, Any]:
    """The largest step from sample to sample (full scale is 1) near each joint, and anywhere."""
    with av.open(str(video)) as container:
        parts = [frame.to_ndarray().mean(axis=0) for frame in container.decode(audio=0)]
        rate = container.streams.audio[0].rate
    change = np.abs(np.diff(np.concatenate(parts)))
    near = round(NEAR_S * rate)
    moments = [round(first / fps * rate) for first in joints]
    at_joints = [float(change[moment - near : moment + near].max()) for moment in moments]
    return {"steps": at_joints, "largest": float(change.max())}


def main(video: Path, reference: Path, joints: list[int]) -> None:
    timing = clock(video)
    measured = {
        **compare(video, reference),
        "clock": timing,
        "luma_steps": steps(video, joints),
        "reference_luma_steps": steps(reference, joints),
        "sound": clicks(video, joints, timing["fps"]),
        "reference_sound": clicks(reference, joints, timing["fps"]),
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [int(number) for number in sys.argv[3:]])
