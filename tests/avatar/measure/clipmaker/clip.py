"""A clip: a person, a room, and how both move over time; written as MP4. The door of this package."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Colorspace

from clipmaker.mouth import open_mouth
from clipmaker.person import Pixels, load_person
from clipmaker.scene import Stage

Curve = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Occluder:
    """A hand-like blob that crosses the face from left to right between two moments, in seconds."""

    start_s: float
    end_s: float


@dataclass(frozen=True)
class Motion:
    """The motion of head and mouth: a sum of these terms, known at every moment."""

    yaw_deg: float = 0.0
    """Peak of one slow swing left and right over the clip."""
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    shift: float = 0.0
    """Peak sideways travel, in E."""
    zoom: float = 0.0
    mouth_e: float = 0.0
    """Peak opening of the person's own mouth, talking at about 3 Hz; 0 leaves the photo's mouth."""
    mouth_hold_e: float = 0.0
    """A constant opening on top."""
    blur_steps: int = 1
    """Sub-frames averaged for motion blur."""


@dataclass(frozen=True)
class Clip:
    """The drawn values, frame by frame: the truth that a measurement is compared with."""

    path: Path
    fps: int
    yaw_deg: Curve
    mouth_e: Curve
    absent: tuple[tuple[int, int], ...] = field(default=())


def make_clip(
    path: Path,
    person: str = "grace_hopper",
    *,
    size: tuple[int, int] = (854, 480),
    eye_distance: int = 92,
    seconds: float = 3.0,
    fps: int = 25,
    motion: Motion | None = None,
    occluder: Occluder | None = None,
    absent_s: tuple[float, float] | None = None,
) -> Clip:
    """Draw and encode. `absent_s`: the person has left the picture between these seconds."""
    motion = motion or Motion()
    count = round(seconds * fps)
    stage = Stage(load_person(person, eye_distance), size)
    absent = () if absent_s is None else ((round(absent_s[0] * fps), round(absent_s[1] * fps) - 1),)
    yaw, mouth = (
        np.array([curve(motion, i / fps, seconds) for i in range(count)], np.float32)
        for curve in (_yaw, _mouth)
    )

    def frames() -> Iterator[Pixels]:
        for index in range(count):
            if any(first <= index <= last for first, last in absent):
                yield stage.background
                continue
            steps = [
                _pose(stage, motion, (index + step / motion.blur_steps * 0.5) / fps, seconds)
                for step in range(motion.blur_steps)
            ]
            frame = np.mean(steps, axis=0).astype(np.uint8) if len(steps) > 1 else steps[0]
            yield frame if occluder is None else _occlude(frame, occluder, index / fps, stage)

    write_mp4(path, frames(), fps)
    return Clip(path, fps, yaw, mouth, absent)


def write_mp4(path: Path, frames: Iterator[Pixels], fps: int, times: list[int] | None = None) -> None:
    """x264, nearly lossless. `times`: presentation times in 1/1000 s for a variable frame rate."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = None
        for index, picture in enumerate(frames):
            if stream is None:
                stream = container.add_stream(
                    "libx264", rate=fps, options={"crf": "15", "preset": "veryfast", "g": "60"}
                )
                stream.width, stream.height, stream.pix_fmt = picture.shape[1], picture.shape[0], "yuv420p"
                stream.codec_context.colorspace = Colorspace.ITU709
                stream.codec_context.time_base = Fraction(1, 1000) if times else Fraction(1, fps)
            flat = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")
            frame = flat.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
            frame.pts, frame.time_base = (
                (times[index], Fraction(1, 1000)) if times else (index, Fraction(1, fps))
            )
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode())


def _pose(stage: Stage, motion: Motion, time: float, seconds: float) -> Pixels:
    phase = 2 * np.pi * time / seconds
    e = stage.person.eye_distance
    return stage.draw(
        open_mouth(stage.person, _mouth(motion, time, seconds)),
        yaw=_yaw(motion, time, seconds),
        pitch=motion.pitch_deg * np.sin(2 * phase),
        roll=motion.roll_deg * np.sin(phase + 1),
        shift=(motion.shift * e * np.sin(phase), 0.0),
        zoom=1 + motion.zoom * (1 - np.cos(phase)) / 2,
    )


def _yaw(motion: Motion, time: float, seconds: float) -> float:
    return float(motion.yaw_deg * np.sin(2 * np.pi * time / seconds))


def _mouth(motion: Motion, time: float, seconds: float) -> float:
    talking = max(0.0, np.sin(2 * np.pi * 3.1 * time) * (0.7 + 0.3 * np.sin(2 * np.pi * 0.9 * time)))
    return float(motion.mouth_hold_e + motion.mouth_e * talking)


def _occlude(frame: Pixels, occluder: Occluder, time: float, stage: Stage) -> Pixels:
    if not occluder.start_s <= time <= occluder.end_s:
        return frame
    progress = (time - occluder.start_s) / max(occluder.end_s - occluder.start_s, 1e-6)
    height, width = frame.shape[:2]
    e = stage.person.eye_distance
    centre = (round(width / 2 + (progress - 0.5) * 7 * e), round(stage.mouth_y))
    hand = np.zeros((height, width), np.uint8)
    cv2.ellipse(hand, centre, (round(0.7 * e), round(1.1 * e)), 20, 0, 360, 255, -1)
    cv2.line(hand, centre, (centre[0], height), 255, round(0.8 * e))
    soft = cv2.GaussianBlur(hand, (0, 0), 0.03 * e).astype(np.float32)[..., None] / 255
    return (frame * (1 - soft) + np.array((112, 138, 184), np.float32) * soft).astype(np.uint8)
