"""Draws and encodes an engine's frames as the pipeline does, so that tests judge what people will see."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
from avatar.compose.colour import Planes
from avatar.encode.segment_writer import segment_writer
from avatar.engines.base import EngineReport, FaceEngine, Layer, Pixels
from avatar.engines.registry import open_engine
from avatar.judge.video_measures import SyncReport
from avatar.pipeline.frames import map_in_order
from avatar.spec import Canvas, Face, MediaRef, Scene, VideoCodec
from avatar.speech import speak
from avatar.timing import control_track
from avatar.tracks import MOUTH_CHANNELS, ControlTrack, Phone


def local(ref: MediaRef) -> Path:
    """Resolves references by path."""
    return Path(ref.path or "")


def say(
    text: str, folder: Path, fps: int = 25, lead_in_ms: int = 400
) -> tuple[ControlTrack, tuple[Phone, ...]]:
    """Curves and phones of a sentence spoken by espeak-ng."""
    speech = speak(Scene(id="s", script=text, lead_in_ms=lead_in_ms, tail_ms=400), folder, local)
    return control_track(speech, fps, seed=1), speech.phones


def with_mouth(track: ControlTrack, change: Callable[[str, np.ndarray], np.ndarray]) -> ControlTrack:
    """The track with every mouth channel replaced by `change(name, curve)`."""
    mouth = {name: np.asarray(change(name, track[name]), np.float32) for name in MOUTH_CHANNELS}
    return replace(track, curves=track.curves | mouth)


def render(face: Face, track: ControlTrack, size: tuple[int, int], video: Path, cache: Path) -> EngineReport:
    """Write `video` and give back what the engine says about the run."""
    canvas = Canvas(width=size[0], height=size[1], fps=track.fps)
    cv2.setNumThreads(1)
    with closing(open_engine(face, size, track.fps, resolve=local, cache=cache, alpha=False)) as engine:

        def paint(item: object) -> Planes:
            return Planes.of(flat(engine, engine.draw(item)))

        with segment_writer(video, canvas, VideoCodec()) as writer:
            for planes in map_in_order(paint, engine.items(track)):
                writer.write(planes)
        return engine.report()


def not_judged(report: SyncReport) -> list[str]:
    """Names of the figures that this clip could not give; a proof asserts that this is empty too."""
    return [name for name, value in asdict(report).items() if value is None]


def flat(engine: FaceEngine, layer: Layer) -> Pixels:
    """A layer over its engine's base, BGR."""
    height, width = layer.pixels.shape[:2]
    if engine.base is None:
        return np.ascontiguousarray(layer.pixels[..., :3])
    picture = np.ascontiguousarray(engine.base[..., :3]).copy()
    target = picture[layer.y : layer.y + height, layer.x : layer.x + width]
    if layer.pixels.shape[2] == 3:
        target[:] = layer.pixels
    else:
        cover = layer.pixels[..., 3:].astype(np.float32) / 255
        target[:] = np.rint(layer.pixels[..., :3] * cover + target * (1 - cover)).astype(np.uint8)
    return picture
