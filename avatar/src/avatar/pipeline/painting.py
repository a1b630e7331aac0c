"""Every frame of a scene, painted ahead by whatever is quickest here; the frame loop is its caller."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager

from avatar.compose.colour import Planes
from avatar.pipeline.painters import Painters, can_fork
from avatar.pipeline.parallel import drawing_threads, map_in_order
from avatar.pipeline.scene_renderer import SceneRenderer
from avatar.tracks import ControlTrack

log = logging.getLogger(__name__)


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
