"""Makes small pictures of scenes; called while a person edits."""

from __future__ import annotations

from dataclasses import dataclass

from avatar.spec import Canvas, EspeakVoice, FliteVoice, RenderSpec, Scene

from soundstage.errors import Unavailable
from studio.renders.service import RenderService
from studio.scene_previews.making import PreviewKind, ScenePreviews

SIDE_PX = 640
"""The longer side."""
STILLS = PreviewKind(
    name="still",
    task="still",
    # A person waits for it, and after speech.
    priority=150,
    time_limit_s=30.0,
    roles=("still",),
    read=lambda files: files["still"],
    size=len,
    no_worker=lambda program: Unavailable(
        "still.no_worker",
        f"No picture can be drawn: the worker program {program} is not on this machine.",
        "Install it with `make setup`, or name it in worker.command.",
    ),
)


@dataclass(frozen=True, slots=True)
class Still:
    """A picture as PNG; `key` names all that it shows."""

    key: str
    png: bytes


@dataclass(frozen=True, slots=True)
class SceneStills:
    """Pictures of scenes at a word."""

    renders: RenderService
    previews: ScenePreviews[bytes]

    async def open(self, project: str, scene_id: str, word: int) -> Still:
        """Returns the picture shortly after a word of the scene has begun; words count from 0.

        Raises what `RenderService.spec_of_scene` and `ScenePreviews.open` do.
        """
        spec = _quick(await self.renders.spec_of_scene(project, scene_id))
        return Still(*await self.previews.open(spec, scene_id, "--word", str(word)))


def _quick(spec: RenderSpec) -> RenderSpec:
    """Returns a spec of the same picture that takes less: smaller, and spoken by a built-in voice. So no
    service is asked, and times of words are those of that voice.
    """
    shrunk = min(1.0, SIDE_PX / max(spec.canvas.width, spec.canvas.height))
    canvas = Canvas(
        width=_even(spec.canvas.width * shrunk),
        height=_even(spec.canvas.height * shrunk),
        fps=spec.canvas.fps,
    )
    return spec.model_copy(update={"canvas": canvas, "scenes": tuple(map(_with_built_in_voice, spec.scenes))})


def _with_built_in_voice(scene: Scene) -> Scene:
    built_in = (FliteVoice, EspeakVoice)
    cast = [
        one if isinstance(one.voice, built_in) else one.model_copy(update={"voice": FliteVoice()})
        for one in scene.all_speakers
    ]
    quick = scene.with_cast(cast)
    return quick.model_copy(update={"audio": None}) if scene.script else quick


def _even(pixels: float) -> int:
    return max(64, round(pixels / 2) * 2)
