"""Chooses the face engine of a scene for this machine and opens it; called by pipeline.scene_renderer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from avatar.compose.fitting import contain_size
from avatar.compose.footage import footage_size
from avatar.compose.layout import Rect
from avatar.engines.base import FaceEngine, Reach
from avatar.engines.neural.choice import Chosen, choose, require_weights, uses_networks
from avatar.engines.registry import open_engine
from avatar.engines.weights.checkpoint import import_torch
from avatar.engines.weights.store import models_folder
from avatar.errors import InvalidInput
from avatar.pipeline.context import Context
from avatar.pipeline.resuming import resume_cache_of_run
from avatar.spec import EngineUse, Face, Notice, PhotoFace, RenderSpec, Scene, VideoFace
from avatar.tracks import SpeechTrack


@dataclass(frozen=True, slots=True)
class FaceOpened:
    """An engine, how it came to be chosen, and whether it takes as little of a card as it can or none, though
    it was made for one. mode: how much it takes of a card; empty where it uses none. undriven: the name of
    the driving that the engine does not take.
    """

    engine: FaceEngine
    chosen: Chosen
    takes_least: bool = True
    on_processor: bool = False
    mode: str = ""
    undriven: str = ""

    def use(self, scene_id: str) -> EngineUse:
        chosen = self.chosen
        return EngineUse(
            scene=scene_id, engine=chosen.engine, asked=chosen.asked, mode=self.mode, why_not=chosen.why_not
        )

    def notices(self) -> Iterator[Notice]:
        """Said where a card is there, and people could have had more; where none is there for a named engine;
        and where the driving of a photo is left out.
        """
        if self.on_processor:
            yield Notice(
                code="engine.on_processor",
                message=f"No card was found: {self.chosen.engine} runs on the processor, which takes minutes"
                " for each second.",
            )
        elif self.chosen.why_not and self.chosen.near:
            yield Notice(
                code="engine.fallback",
                message=f"The face is drawn by {self.chosen.engine}. Not by {self.chosen.why_not[0]}",
                details={"why_not": list(self.chosen.why_not)},
            )
        if self.undriven:
            yield Notice(
                code="driving.left_out",
                message=f"The head moves by the speech, not as in {self.undriven}: {self.chosen.engine} draws"
                " the photo, and LivePortrait alone takes movement from a video or a template.",
            )


def open_face(
    spec: RenderSpec,
    scene: Scene,
    size: tuple[int, int],
    speech: SpeechTrack,
    context: Context,
    *,
    alpha: bool,
    low: bool = False,
    reach: Reach | None = None,
) -> FaceOpened:
    """The engine that the scene names, or the best for it here; `low` takes least of a card, `reach` is that
    of `open_engine`.

    Raises what the engine says about its input; Unavailable `torch.unavailable`, `weights.missing` for a
    named engine.
    """
    face = scene.face
    chosen = choose(face)
    driven_by = _driven_by(face, context)
    if not uses_networks(chosen.engine):
        engine = open_engine(
            face,
            size,
            spec.canvas.whole_fps,
            resolve=context.resolve,
            cache=context.cache,
            alpha=alpha,
            reach=reach,
        )
        return FaceOpened(engine, chosen, undriven=driven_by)
    if spec.canvas.rate.denominator != 1:
        raise InvalidInput(
            "canvas.rate_not_whole",
            f"The engine {chosen.engine} follows sound at whole frame rates, not at {spec.canvas.fps}.",
            f"Use {spec.canvas.whole_fps} frames a second, or an engine that needs no card.",
        )
    torch = import_torch()
    from avatar.engines.neural.engine import DrawingContext, NeuralFace

    folder = models_folder()
    require_weights(chosen.engine, folder)
    drawing = DrawingContext(
        resolve=context.resolve,
        cache=context.cache,
        sound=speech.wav,
        folder=speech.wav.parent,
        models=folder,
        holder=context.holder,
        check=context.check,
        seed=spec.seed,
        low=low,
        resume_cache=resume_cache_of_run(context),
    )
    neural = NeuralFace(_person(face), size, spec.canvas.whole_fps, chosen, drawing, alpha=alpha)
    on_processor = not torch.cuda.is_available()
    mode = "" if on_processor and not neural.takes_least else neural.mode
    return FaceOpened(neural, chosen, neural.takes_least, on_processor, mode)


def _driven_by(face: Face, context: Context) -> str:
    """Returns the shown name of the driving of a photo; a missing file is an error for every engine."""
    if not isinstance(face, PhotoFace) or face.driving is None:
        return ""
    path = context.resolve(face.driving)
    return face.driving.name or path.name


def engine_box(scene: Scene, box: Rect, context: Context) -> Rect:
    """`box` for fit `cover`; for `contain` the largest box inside it with the shape of the photo or video.

    A drawn character has no shape of its own and fills any box.
    """
    if scene.layout.fit == "cover":
        return box
    if isinstance(scene.face, PhotoFace):
        from avatar.engines.mesh.preparation import upright_size

        face = scene.face
        portrait = context.resolve(face.portrait) if face.portrait is not None else None
        natural = upright_size(context.resolve(face.image), portrait, face.face_index, context.cache)
    elif isinstance(scene.face, VideoFace):
        path = context.resolve(scene.face.video)
        natural = footage_size(path, scene.face.video.name or path.name)
    else:
        return box
    width, height = contain_size(natural, box.width, box.height)
    return Rect(box.x + (box.width - width) // 2, box.y + (box.height - height) // 2, width, height)


def quick_scene(scene: Scene) -> Scene:
    """Returns the scene with the faces of all speakers as `quick` has them."""
    cast = [one.model_copy(update={"face": quick(one.face)}) for one in scene.all_speakers]
    return scene.with_cast(cast)


def quick(face: Face) -> Face:
    """The face as it is drawn where nobody wants to wait: `auto` takes the engine without networks."""
    if isinstance(face, PhotoFace) and face.engine == "auto":
        return face.model_copy(update={"engine": "mesh"})
    if isinstance(face, VideoFace) and face.engine == "auto":
        return face.model_copy(update={"engine": "motion"})
    return face


def _person(face: Face) -> PhotoFace | VideoFace:
    if isinstance(face, PhotoFace | VideoFace):
        return face
    raise TypeError(f"no network draws {face!r}")
