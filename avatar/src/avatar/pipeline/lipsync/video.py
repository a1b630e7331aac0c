"""The `lipsync_only` job: a video and a sound in, the same video saying it out; `avatar lipsync` calls it."""

from __future__ import annotations

from pathlib import Path

from avatar.compose.footage import footage_size
from avatar.errors import InvalidInput
from avatar.media_files import open_media
from avatar.pipeline.context import Context
from avatar.pipeline.render import render_video
from avatar.spec import Canvas, Finished, LipsyncSpec, Output, RenderSpec, Scene
from avatar.speech.decode import best_rate_hz, probe_rate_hz, whole_rate_hz

SCENE = "lipsync"
MAX_SIDE_PX = 3840


def lipsync_video(spec: LipsyncSpec, target: Path, context: Context) -> Finished:
    """Make `target` in the size and at the rate of the source video, unless the spec names a canvas."""
    return render_video(render_spec(spec, context), target, context)


def render_spec(spec: LipsyncSpec, context: Context) -> RenderSpec:
    """The job as a spec of one scene that fills the canvas, without silence around the sound."""
    scene = Scene(
        id=SCENE,
        script=spec.transcript,
        audio=spec.audio,
        language=spec.language,
        face=spec.face,
        lead_in_ms=0,
        tail_ms=0,
    )
    name = spec.face.video.name
    return RenderSpec(
        title=Path(name).stem[:200] if name else "Lip sync",
        canvas=spec.canvas or _canvas_of(context.resolve(spec.face.video), name or "the video"),
        scenes=(scene,),
        output=with_rate_of(context.resolve(spec.audio), spec.output),
        seed=spec.seed,
    )


def with_rate_of(sound: Path, output: Output) -> Output:
    """A video at 44 100 Hz keeps its sound's rate as one at 48 000 does, unless the spec names a rate."""
    if "sample_rate_hz" in output.audio.model_fields_set:
        return output
    rate = whole_rate_hz(best_rate_hz(probe_rate_hz(sound)))
    audio = output.audio.model_copy(update={"sample_rate_hz": rate})
    return output.model_copy(update={"audio": audio})


def _canvas_of(video: Path, shown: str) -> Canvas:
    width, height = footage_size(video, shown)
    require_side(width, height, shown)
    scale = min(1.0, MAX_SIDE_PX / max(width, height))
    even = [round(side * scale) // 2 * 2 for side in (width, height)]
    return Canvas(width=even[0], height=even[1], fps=_rate_of(video))


def require_side(width: int, height: int, what: str) -> None:
    """Raises InvalidInput `video.too_small`."""
    if min(width, height) < 64:
        raise InvalidInput(
            "video.too_small", f"{what} is only {width} x {height} pixels.", "At least 64 x 64 are needed."
        )


def _rate_of(video: Path) -> int:
    """The nearest whole frame rate the canvas allows; 25 where the file does not say."""
    with open_media(video) as container:
        rate = container.streams.video[0].average_rate
    return min(60, max(10, round(rate))) if rate else 25
