"""A small, quick video of one scene, for editing; `avatar preview` calls it."""

from __future__ import annotations

from pathlib import Path

from avatar.pipeline.context import Context
from avatar.pipeline.face_engine import quick
from avatar.pipeline.render import render_video
from avatar.spec import Canvas, Finished, RenderSpec

PREVIEW_WIDTH = 640
PREVIEW_CRF = 26


def preview_scene(spec: RenderSpec, scene_id: str, target: Path, context: Context) -> Finished:
    """Make `target` from one scene, at most 640 pixels wide, encoded for speed."""
    return render_video(preview_spec(spec, scene_id), target, context)


def preview_spec(spec: RenderSpec, scene_id: str) -> RenderSpec:
    """The spec of the preview: the same picture, smaller, one scene only."""
    video = spec.output.video.model_copy(
        update={"preset": "ultrafast", "crf": max(PREVIEW_CRF, spec.output.video.crf)}
    )
    output = spec.output.model_copy(update={"video": video, "poster": False})
    scene = spec.scene(scene_id)
    scene = scene.model_copy(update={"face": quick(scene.face)})
    return spec.model_copy(update={"canvas": _small(spec.canvas), "scenes": (scene,), "output": output})


def _small(canvas: Canvas) -> Canvas:
    if canvas.width <= PREVIEW_WIDTH:
        return canvas
    height = canvas.height * PREVIEW_WIDTH / canvas.width
    return Canvas(width=PREVIEW_WIDTH, height=max(64, round(height / 2) * 2), fps=canvas.fps)
