"""The frames of a scene into its segment, again in a way that suits the card where one fails; for
pipeline.segment."""

from __future__ import annotations

import logging
import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from avatar.compose.colour import Planes
from avatar.encode.provenance import EngineRecord
from avatar.encode.segment_writer import segment_writer
from avatar.engines.card_memory import NOT_FINITE, OUT_OF_MEMORY
from avatar.errors import Unavailable
from avatar.pipeline.context import Context
from avatar.pipeline.frame_loop import FrameLoop
from avatar.pipeline.mouth_check import MouthCheck
from avatar.pipeline.painters import Painters, can_fork
from avatar.pipeline.scene_renderer import SceneRenderer, Warn, open_scene
from avatar.spec import EngineUse, Notice, RenderSpec, Scene, StageStarted
from avatar.tracks import ControlTrack, SpeechTrack

log = logging.getLogger(__name__)
MAX_THREADS = 6
"""Past this one encoder cannot keep up with the drawing."""
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Drawn:
    """Facts about frames once they are written."""

    frames: int
    engines: tuple[EngineRecord, ...]
    uses: tuple[EngineUse, ...]
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
    for notice in (*report.notices, *renderer.mouth_notices()):
        warn(notice.model_copy(update={"scene": scene.id}))
    return Drawn(writer.frames, renderer.engines(), renderer.uses(scene.id), tuple(report.lost_face_frames))


@contextmanager
def paint_frames(renderer: SceneRenderer, track: ControlTrack) -> Iterator[Generator[Planes]]:
    """All frames of `track` in order; each is valid until the next one is asked for.

    To be opened before the encoder: its threads would keep us from forking. Who paints is gone afterwards.
    """
    count = drawing_threads()
    painters = _painters(renderer, track, count)
    if painters is None:
        with closing(_in_threads(renderer, track, count)) as frames:
            yield frames
        return
    with closing(painters), closing(painters.frames()) as frames:
        yield frames


def _painters(renderer: SceneRenderer, track: ControlTrack, count: int) -> Painters | None:
    """Processes where they pay and may be had; None where threads are to paint."""
    if not (renderer.wants_processes and Planes.can_lie_in(*renderer.size) and can_fork()):
        return None
    try:
        return Painters(renderer, track, count)
    except OSError as error:
        log.warning("frames are drawn by threads, because no process could be started: %s", error)
        return None


def _in_threads(renderer: SceneRenderer, track: ControlTrack, count: int) -> Generator[Planes]:
    with closing(map_in_order(renderer.paint, renderer.frame_states(track), count, 3 * count)) as frames:
        for planes in frames:
            yield planes
            renderer.recycle(planes)


def drawing_threads() -> int:
    """Returns how many threads draw: the cores we may use without the encoder's, at least two."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 2
    return max(2, min(MAX_THREADS, cores - 2))


def map_in_order(fn: Callable[[T], R], items: Iterable[T], workers: int = 2, depth: int = 6) -> Generator[R]:
    """`map(fn, items)` on `workers` threads; at most `depth` results wait, so memory stays flat.

    `items` is read in the caller's thread, in order: for the first result as many as there are workers, then
    two for each result until `depth` wait, so that the first one comes early. The first error ends the run;
    closing the iterator early cancels what has not begun and waits for what has, so no thread outlives the
    call.
    """
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="frames")
    waiting: deque[Future[R]] = deque()
    coming, target = iter(items), min(workers, depth)
    try:
        while True:
            waiting.extend(pool.submit(fn, item) for item in islice(coming, target - len(waiting)))
            if not waiting:
                return
            yield waiting.popleft().result()
            target = min(depth, target + 1)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
