"""Runs one verb and turns its end into an exit code: 0 done, 1 failed, 130 and 143 stopped by a signal.

A signal becomes one `Cancelled`, so that all cleanup runs undisturbed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING

from avatar.cli.arguments import build_parser
from avatar.cli.console import Console, open_console
from avatar.cli.from_text import asks_for_text
from avatar.cli.input_files import require_inputs_unchanged
from avatar.errors import AvatarError, Cancelled, Unavailable
from avatar.spans import Spans, StageSpans
from avatar.spec import Failed, Finished, ProgressLine
from avatar.spec.unfinished import VARIABLE

if TYPE_CHECKING:
    from avatar.cli.verbs import Verb

FAILED = 1
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Parameters of glibc's mallopt(3)."""
_KEEP_BYTES = 1 << 30
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """While open, the first signal raises `Cancelled` in the main thread, and later ones are ignored.

    An exception raised inside a foreign callback can be lost, so the frame loop also asks `check`.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, signal._HANDLER] = {}

    def __enter__(self) -> Stop:
        self._before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            # Once stopped, stay deaf: a late signal must not take the exit code's place.
            signal.signal(number, handler if self.signal is None else signal.SIG_IGN)

    def check(self) -> None:
        """Raises `Cancelled` once a signal has come."""
        if self.signal is not None:
            raise Cancelled(
                "render.cancelled", "The work was stopped on request; nothing partial was left behind."
            )

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal = number
            self.check()


def main(argv: Sequence[str] | None = None) -> int:
    """The entry point. Expected failures end in one `Failed` line; a defect shows its traceback."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv[:1] == ["standby"]:
        from avatar.cli.standby import wait_for_order

        _one_thread_per_library()
        order = wait_for_order(*argv[1:2])
        if order is None:
            return 0
        argv = order
    arguments = build_parser(from_text=asks_for_text(argv)).parse_args(argv)
    if arguments.verb == "work":
        # It starts this program anew for each order, and needs neither its signals nor its libraries.
        from avatar.work.run import work

        return work(arguments)
    console = open_console(as_json=arguments.json)
    _one_thread_per_library()
    keep_freed_memory()
    spans = Spans(console.tell if arguments.json else _ignore)
    with Stop() as stop:
        try:
            return _run(arguments, console, stop, spans)
        except Cancelled as error:
            console.tell(Failed(code=error.code, message=error.message, hint=error.hint))
            return 128 + (stop.signal or 2)
        except AvatarError as error:
            if stop.signal:  # the stop reached a child program first, and its failure reached us
                console.tell(Failed(code="render.cancelled", message="The work was stopped on request."))
                return 128 + stop.signal
            console.tell(Failed(code=error.code, message=error.message, hint=error.hint))
            # Beside the progress, whose lines are kept short: there may be a thousand.
            sys.stderr.writelines(f"         {line}\n" for line in error.details)
            return FAILED
        except Exception as error:
            # A defect: reported in the progress, and the traceback follows.
            message = f"The worker failed unexpectedly: {type(error).__name__}: {error}"
            console.tell(Failed(code="worker.defect", message=message, hint="Please report it with the log."))
            raise


def _ignore(line: ProgressLine) -> None:
    """Ignores a span: people see the progress."""


def _run(arguments: Namespace, console: Console, stop: Stop, spans: Spans) -> int:
    if arguments.verb in ("engines", "doctor"):
        from avatar.cli.inspection import print_doctor, print_engines

        return print_engines(arguments) if arguments.verb == "engines" else print_doctor(arguments)
    if arguments.verb == "persona":
        from avatar.cli.designing import make_persona

        return make_persona(arguments)
    if arguments.verb == "init":
        from avatar.cli.example import write_example

        return write_example(arguments, console)
    if arguments.verb == "models":
        from avatar.cli.weights import models

        return models(arguments)

    stages = StageSpans(console.tell, spans)
    with spans.span(f"avatar {arguments.verb}") as attributes:
        try:
            result = _make(arguments, stop, stages)
        finally:
            stages.end()
            attributes.update(stages.result)
    # The last word, after which nobody reads on.
    console.tell(result)
    return 0


def _make(arguments: Namespace, stop: Stop, stages: StageSpans) -> Finished:
    require_inputs_unchanged(arguments)
    try:  # only now: `avatar --help` and `avatar doctor` need none of the media libraries
        from avatar.pipeline.context import Context

        verb = _verb(arguments.verb)
    except ModuleNotFoundError as error:
        raise Unavailable(
            "worker.incomplete",
            f"The worker lacks the package {error.name}.",
            "Install its extras, in the folder avatar/: uv sync --locked --inexact --extra cpu --extra face."
            " `avatar doctor` lists what is missing.",
        ) from error
    except ImportError as error:  # the package is there, and a library of the system that it needs is not
        raise Unavailable(
            "worker.incomplete",
            f"A library of the system is missing: {error}.",
            "On Debian: apt-get install libgl1 libegl1 libfontconfig1.",
        ) from error

    context = Context(
        cache=arguments.cache,
        blobs=arguments.blobs,
        confined=arguments.confined,
        tell=stages.tell,
        check=stop.check,
        work=os.environ.get(VARIABLE, ""),
    )
    result = verb(arguments, context)
    stages.note(result)
    return result


def _verb(name: str) -> Verb:
    if name == "speak":
        from avatar.cli.speaking import speak

        return speak
    import cv2

    from avatar.cli.verbs import VERBS

    cv2.setNumThreads(1)
    return VERBS[name]


def _one_thread_per_library() -> None:
    """Frames are drawn in parallel; BLAS and OpenMP below them, which read this at import, use one core.

    PyTorch takes more later. Its threads sleep while they wait: where others want the cores, too, spinning
    makes a frame take twenty times as long.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def keep_freed_memory() -> None:
    """Stop glibc from handing picture-sized blocks back to the kernel after each use.

    Every operation on a 1080p picture takes megabytes and frees them. Given back and taken again, each page
    is cleared by the kernel: seventeen times as many page faults, and a sixth of all CPU time where alpha is
    blended. One arena, because freed blocks are then shared by all drawing threads. Other C libraries are
    left alone.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_M_MMAP_THRESHOLD, _KEEP_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _KEEP_BYTES)
    mallopt(_M_ARENA_MAX, 1)
