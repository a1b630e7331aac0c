"""A whole spec to a video in one go: every scene, then the assembly; `avatar render` calls it."""

from __future__ import annotations

from pathlib import Path

from avatar.encode.atomic import atomic_files
from avatar.pipeline.assemble import assemble_video
from avatar.pipeline.consent import require_consent
from avatar.pipeline.context import Context
from avatar.pipeline.files import require_outputs
from avatar.pipeline.scene_media import paths_of
from avatar.pipeline.segment import draw_segment
from avatar.spec import Finished, RenderSpec


def render_video(spec: RenderSpec, target: Path, context: Context) -> Finished:
    """Make `target` and its companions. Segments live in a folder beside it and are gone afterwards."""
    require_outputs(target, spec.output, paths_of(spec.scenes))
    for scene in spec.scenes:
        require_consent(scene)
    with atomic_files(target.parent, ()) as work:
        segments = [draw_segment(spec, scene.id, work / scene.id, context) for scene in spec.scenes]
        done = assemble_video(spec, segments, target, context)
    context.forget()
    return done
