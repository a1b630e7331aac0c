"""A whole spec to a video in one go, or one scene to a small, quick preview; `avatar` calls it."""

from __future__ import annotations

from pathlib import Path

from avatar.encode.atomic import atomic_files
from avatar.engines.rig.characters import require_character
from avatar.pipeline.assemble import assemble_video
from avatar.pipeline.consent import require_consent
from avatar.pipeline.context import Context
from avatar.pipeline.face_engine import quick_scene
from avatar.pipeline.files import require_outputs
from avatar.pipeline.scene_media import film_media, media_of, paths_of
from avatar.pipeline.segment import draw_segment
from avatar.spec import Canvas, Finished, RenderSpec, RigFace

PREVIEW_WIDTH = 640
PREVIEW_CRF = 26


def render_video(spec: RenderSpec, target: Path, context: Context) -> Finished:
    """Make `target` and its companions. Segments live in a folder beside it and are gone afterwards."""
    require_outputs(target, spec.output, paths_of(spec.scenes, spec))
    _require_parts(spec, context)
    with atomic_files(target.parent, ()) as work:
        segments = [draw_segment(spec, scene.id, work / scene.id, context) for scene in spec.scenes]
        done = assemble_video(spec, segments, target, context)
    context.forget()
    return done


def _require_parts(spec: RenderSpec, context: Context) -> None:
    """Raises what the last scene would, before the first one is drawn: no consent, character or file."""
    for scene in spec.scenes:
        require_consent(scene)
        for face in scene.faces:
            if isinstance(face, RigFace) and face.design is None:
                require_character(face.character)
        for _, ref in media_of(scene):
            context.resolve(ref)
    for _, ref in film_media(spec):
        context.resolve(ref)


def preview_scene(spec: RenderSpec, scene_id: str, target: Path, context: Context) -> Finished:
    """Make `target` from one scene, at most 640 pixels wide, encoded for speed."""
    return render_video(preview_spec(spec, scene_id), target, context)


def preview_spec(spec: RenderSpec, scene_id: str) -> RenderSpec:
    """The spec of the preview: the same picture, smaller, one scene only."""
    video = spec.output.video.model_copy(
        update={"preset": "ultrafast", "crf": max(PREVIEW_CRF, spec.output.video.crf)}
    )
    output = spec.output.model_copy(update={"video": video, "poster": False})
    scene = quick_scene(spec.scene(scene_id))
    return spec.model_copy(update={"canvas": _small(spec.canvas), "scenes": (scene,), "output": output})


def _small(canvas: Canvas) -> Canvas:
    if canvas.width <= PREVIEW_WIDTH:
        return canvas
    height = canvas.height * PREVIEW_WIDTH / canvas.width
    return Canvas(width=PREVIEW_WIDTH, height=max(64, round(height / 2) * 2), fps=canvas.fps)
