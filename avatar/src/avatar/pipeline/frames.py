"""The frames of a scene into its segment, again in a way that suits the card where one fails; for
pipeline.segment."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from avatar.encode.provenance import EngineRecord
from avatar.encode.segment_writer import segment_writer
from avatar.engines.card_memory import NOT_FINITE, OUT_OF_MEMORY
from avatar.errors import Unavailable
from avatar.pipeline.context import Context
from avatar.pipeline.frame_loop import FrameLoop
from avatar.pipeline.mouth_check import MouthCheck
from avatar.pipeline.painting import paint_frames
from avatar.pipeline.scene_renderer import SceneRenderer, Warn, open_scene
from avatar.spec import EngineUse, Notice, RenderSpec, Scene, StageStarted
from avatar.tracks import ControlTrack, SpeechTrack


@dataclass(frozen=True, slots=True)
class Drawn:
    """Facts about frames once they are written."""

    frames: int
    engines: tuple[EngineRecord, ...]
    use: EngineUse | None
    lost_face_frames: tuple[tuple[int, int], ...]


def draw_frames(
    spec: RenderSpec,
    scene: Scene,
    speech: SpeechTrack,
    track: ControlTrack,
    target: Path,
    context: Context,
    warn: Warn,
) -> Drawn:
    """Writes `target`. A card that runs full is tried again in the mode that takes least, and one on which
    numbers run over in fp32; nothing of a try before is left. Raises Unavailable `gpu.out_of_memory` and
    `gpu.not_finite` after that.
    """

    reported: set[tuple[str, str]] = set()

    def once(notice: Notice) -> None:
        """A second try has nothing to add to what the first one said."""
        if (key := (notice.code, notice.message)) not in reported:
            reported.add(key)
            warn(notice)

    def attempt(*, low: bool) -> Drawn | Unavailable:
        context.tell(StageStarted(stage="prepare", scene=scene.id))
        with closing(open_scene(spec, scene, speech, context, once, low=low)) as renderer:
            try:
                return _written(spec, scene, renderer, track, target, context, once)
            except Unavailable as error:
                full = error.code == OUT_OF_MEMORY and not renderer.takes_least
                beyond = error.code == NOT_FINITE and not renderer.on_processor and not context.holder.wide
                if not (full or beyond):
                    raise
                return Unavailable(error.code, error.message, error.hint)

    low = False
    while isinstance(outcome := attempt(low=low), Unavailable):
        # The traceback of the try before, which holds what filled the card, is gone with it.
        full = outcome.code == OUT_OF_MEMORY
        again = f"{outcome.message} Starting again {'with less at a time' if full else 'in fp32'}."
        once(Notice(code=outcome.code, message=again, scene=scene.id))
        context.holder.clear()
        low, context.holder.wide = low or full, context.holder.wide or not full
    return outcome


def _written(
    spec: RenderSpec,
    scene: Scene,
    renderer: SceneRenderer,
    track: ControlTrack,
    target: Path,
    context: Context,
    warn: Callable[[Notice], None],
) -> Drawn:
    loop = FrameLoop(context, scene.id, track.frames)
    renderer.mouth = MouthCheck(scene.face, track)
    with (
        paint_frames(renderer, track) as frames,
        segment_writer(target, spec.canvas, spec.output.video) as writer,
    ):
        loop.write(frames, writer)
    report = renderer.report()
    found = renderer.mouth.verdict()
    for notice in (*report.notices, *(() if found is None else (found,))):
        warn(notice.model_copy(update={"scene": scene.id}))
    return Drawn(writer.frames, renderer.engines(), renderer.use(scene.id), tuple(report.lost_face_frames))
