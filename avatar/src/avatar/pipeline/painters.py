"""Frames painted by a few processes forked from this one, in order; the frame loop is its caller.

Drawing a character keeps Python's lock, so threads of one process draw one after the other, and the encoder
waits for the lock between its frames. Each painter runs the scene from its beginning and paints every n-th
frame into memory that it shares with the encoder's process; the frames themselves never travel.
"""

from __future__ import annotations

import ctypes
import gc
import mmap
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path

from avatar.compose.colour import Planes
from avatar.errors import AvatarError, Unavailable
from avatar.pipeline.scene_renderer import SceneRenderer
from avatar.tracks import ControlTrack

FRAMES_AHEAD = 4
"""How many frames each painter may be ahead of the encoder: memory stays flat."""

_LEAVING_S = 0.02
_PR_SET_PDEATHSIG = 1
_STOPS = {signal.SIGINT, signal.SIGHUP, signal.SIGTERM}


def can_fork() -> bool:
    """Returns whether a fork of this process would be whole: only the forking thread lives on in it."""
    if sys.platform != "linux":
        return False
    try:
        ends = time.monotonic() + _LEAVING_S
        while not (alone := len(list(Path("/proc/self/task").iterdir())) == 1):
            # One that Python has seen end is on the system's list for some moments more.
            if threading.active_count() > 1 or time.monotonic() > ends:
                break
            time.sleep(0.001)
        return alone
    except OSError:  # Nothing is mounted there, so it is unknown.
        return False


class Painters:
    """`count` painters at work on all frames of `track`, until `close`.

    To be made where `can_fork` holds, of a scene that `wants_processes`. Raises `OSError` when the system
    grants no more processes.
    """

    def __init__(self, renderer: SceneRenderer, track: ControlTrack, count: int) -> None:
        self._frames = track.frames
        self._painters: list[_Painter] = []
        _give_back_freed_memory()
        try:
            with _signals_held():
                for number in range(count):
                    self._painters.append(_Painter(renderer, track, number, count))
        except BaseException:
            self.close()
            raise

    def frames(self) -> Generator[Planes]:
        """Every frame in order; each is valid until the next one is asked for.

        Raises what painting it raised, and `Unavailable` (`render.painter_lost`) when a painter has died.
        """
        for index in range(self._frames):
            painter = self._painters[index % len(self._painters)]
            yield painter.next_frame()
            painter.take_back()

    def close(self) -> None:
        """End all painters, whatever they are doing; what they hold is memory alone."""
        for painter in self._painters:
            painter.process.kill()
        for painter in self._painters:
            painter.close()


@dataclass(frozen=True, slots=True)
class _Failure:
    """An error on its way to our process: an expected one, to be raised again, or a defect's traceback."""

    kind: type[AvatarError] | None
    arguments: tuple[str, ...]

    @classmethod
    def of(cls, error: Exception) -> _Failure:
        if isinstance(error, AvatarError):
            return cls(type(error), (error.code, error.message, error.hint))
        return cls(None, tuple(traceback.format_exception(error)))

    def error(self) -> Exception:
        return RuntimeError("".join(self.arguments)) if self.kind is None else self.kind(*self.arguments)


class _Painter:
    """One process and the frames it shares with us."""

    def __init__(self, renderer: SceneRenderer, track: ControlTrack, number: int, count: int) -> None:
        width, height = renderer.size
        # Anonymous memory: no name in any folder, gone with the last process that holds it.
        self._slots = [
            Planes(width, height, mmap.mmap(-1, Planes.bytes_of(width, height))) for _ in range(FRAMES_AHEAD)
        ]
        self._taken = 0
        self._ours, theirs = multiprocessing.get_context("fork").Pipe()
        self.process = ForkProcess(
            target=_paint_share,
            args=(renderer, track, number, count, self._slots, theirs, self._ours, os.getpid()),
            name=f"painter-{number}",
            daemon=True,
        )
        try:
            self.process.start()
        except BaseException:
            self._ours.close()
            raise
        finally:
            theirs.close()

    def next_frame(self) -> Planes:
        try:
            failure: _Failure | None = self._ours.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            raise Unavailable(
                "render.painter_lost",
                f"A process that draws frames {_how_it_ended(self.process.exitcode)}.",
                "Start again. If it was killed, the machine may be short of memory.",
            ) from None
        if failure is not None:
            raise failure.error()
        return self._slots[self._taken % FRAMES_AHEAD]

    def take_back(self) -> None:
        self._taken += 1
        with suppress(BrokenPipeError, ConnectionResetError):  # it has died: the next frame will say so
            self._ours.send_bytes(b"")

    def close(self) -> None:
        self.process.join()
        self.process.close()
        self._ours.close()


def _paint_share(
    renderer: SceneRenderer,
    track: ControlTrack,
    number: int,
    count: int,
    slots: list[Planes],
    pipe: Connection,
    parents_end: Connection,
    parent: int,
) -> None:
    """Runs in the painter: its frames one after the other, a message after each."""
    _live_and_die_with(parent)
    parents_end.close()
    gc.freeze()  # what we were born with is not searched for garbage again and again, nor copied by that
    try:
        for index, state in enumerate(islice(renderer.frame_states(track), number, None, count)):
            if index >= FRAMES_AHEAD:
                pipe.recv_bytes()  # a slot is free again
            renderer.paint(state, slots[index % FRAMES_AHEAD])
            pipe.send(None)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # The rest is not needed.
    except Exception as error:
        pipe.send(_Failure.of(error))


def _give_back_freed_memory() -> None:
    """Returns memory that the last encoder left: it would be copied page by page, for then it is
    shared.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


@contextmanager
def _signals_held() -> Iterator[None]:
    """So that a painter never runs our own handlers: it has its own before a signal can reach it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _live_and_die_with(parent: int) -> None:
    """A stop typed by a person is our parent's business, and it ends us; when it is killed, so are we."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)


def _how_it_ended(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"was killed by signal {-exit_code}"
    return f"ended early with code {exit_code}"
