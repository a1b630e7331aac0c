"""Segments to the finished video with its captions, poster and provenance; `avatar assemble` and `render` call it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from avatar.encode.assembly import join
from avatar.encode.sound import SceneSound
from avatar.pipeline.context import Context
from avatar.pipeline.files import describe
from avatar.pipeline.segment import SegmentFiles
from avatar.spec import Finished, RenderSpec, StageStarted


def assemble_video(spec: RenderSpec, segments: Sequence[SegmentFiles], target: Path, context: Context) -> Finished:
    """Write `target` and its companions (`.vtt`, `.srt`, `.png`, `.provenance.json`)."""
    context.tell(StageStarted(stage="assemble"))
    join(
        target,
        [segment.video for segment in segments],
        [SceneSound(segment.sound, segment.record.frames) for segment in segments],
        fps=spec.canvas.fps,
        codec=spec.output.audio,
        metadata={"title": spec.title, "comment": "Synthetic video."},
    )
    frames = sum(segment.record.frames for segment in segments)
    return Finished(
        files=(describe("video", target),),
        duration_ms=round(frames * 1000 / spec.canvas.fps),
        frames=frames,
        warnings=tuple(notice for segment in segments for notice in segment.record.warnings),
    )
