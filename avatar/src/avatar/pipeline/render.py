"""A whole spec to a video in one go: every scene, then the assembly; `avatar render` calls it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from avatar.pipeline.assemble import assemble_video
from avatar.pipeline.context import Context
from avatar.pipeline.segment import make_segment
from avatar.spec import Finished, RenderSpec


def render_video(spec: RenderSpec, target: Path, context: Context) -> Finished:
    """Make `target`. Segments live in a folder beside it until they are joined, and are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", suffix=".part", dir=target.parent) as work:
        segments = [make_segment(spec, scene.id, Path(work) / scene.id, context) for scene in spec.scenes]
        return assemble_video(spec, segments, target, context)
