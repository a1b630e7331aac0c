"""Every frame of a shot, painted ahead by whatever is quickest here; the frame loop is its caller."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager

from avatar.compose.colour import Planes
from avatar.pipeline.painters import Painters, can_fork
from avatar.pipeline.parallel import drawing_threads, ordered_map
from avatar.pipeline.shot import Shot
from avatar.tracks import ControlTrack

log = logging.getLogger(__name__)


@contextmanager
def painted(shot: Shot, track: ControlTrack) -> Iterator[Generator[Planes]]:
    """All frames of `track` in order; each is valid until the next one is asked for.

    To be opened before the encoder: its threads would keep us from forking. Who paints is gone afterwards.
    """
    count = drawing_threads()
    painters = _painters(shot, track, count)
    if painters is None:
        with closing(_in_threads(shot, track, count)) as frames:
            yield frames
        return
    with closing(painters), closing(painters.frames()) as frames:
        yield frames


def _painters(shot: Shot, track: ControlTrack, count: int) -> Painters | None:
    """Processes where they pay and may be had; None where threads are to paint."""
    if not (shot.wants_processes and Planes.can_lie_in(*shot.size) and can_fork()):
        return None
    try:
        return Painters(shot, track, count)
    except OSError as error:
        log.warning("frames are drawn by threads, because no process could be started: %s", error)
        return None


def _in_threads(shot: Shot, track: ControlTrack, count: int) -> Generator[Planes]:
    with closing(ordered_map(shot.paint, shot.moments(track), count, 3 * count)) as frames:
        for planes in frames:
            yield planes
            shot.recycle(planes)
