"""Turns Ctrl-C, SIGTERM and a closed terminal into one `Cancelled`, so that all cleanup runs undisturbed."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType

from avatar.errors import Cancelled

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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
