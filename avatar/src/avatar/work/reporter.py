"""Sends progress to the control plane in batches, from a thread of its own, so that a control plane that is
away never holds up the work.
"""

from __future__ import annotations

import threading

from pydantic import ValidationError

from avatar.errors import AvatarError, Cancelled
from avatar.spec import Failed, Finished, ProgressLine, parse_progress
from avatar.spec.progress import index_to_replace
from avatar.spec.work import Passing, WorkEnd, WorkReport
from avatar.work.control import Control, Refused

BATCH_S = 0.4
LOG_BYTES = 64 * 1024
MAX_LINES = 500
REPORT_TIMEOUT_S = 30.0
LAST_WORD_S = 3.0


class Reporter:
    """`line` and `log` take what the program says; `finish` hands over the end. `unwanted` is set when the
    control plane reports that the work is not needed any more, `forget` when it will not be continued.
    """

    def __init__(self, control: Control, run: str, stop: threading.Event) -> None:
        self._control = control
        self._run = run
        self._stop = stop
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._lines: list[Passing] = []
        self._log = bytearray()
        self._seq = 0
        self._pending: WorkReport | None = None
        self._closing = False
        self.unwanted = False
        self.forget = False
        self.result: Finished | None = None
        self.failure: Failed | None = None
        self.garbage = 0
        self._thread = threading.Thread(target=self._send_all, name="reporter", daemon=True)

    def start(self) -> None:
        """Says at once that the work runs."""
        self._thread.start()
        self._wake.set()

    def line(self, raw: bytes) -> None:
        """A line of standard output. The last word is kept, garbage goes to the log."""
        if not raw.strip():
            return
        try:
            parsed = parse_progress(raw)
        except ValidationError:
            self.garbage += 1
            self.log(b"unreadable line on standard output: " + raw[:200] + b"\n")
            return
        self.take(parsed)

    def take(self, line: ProgressLine) -> None:
        """Takes a line of the program, or a span of `avatar work` itself."""
        if isinstance(line, Finished):
            self.result = line
        elif isinstance(line, Failed):
            self.failure = line
        else:
            with self._lock:
                outdated = index_to_replace(line, self._lines)
                if outdated is not None:
                    del self._lines[outdated]
                elif len(self._lines) >= MAX_LINES:
                    self._lines.pop()
                self._lines.append(line)

    def log(self, chunk: bytes) -> None:
        """Buffers standard error of the program; the last part is stored until the next report."""
        with self._lock:
            self._log += chunk
            del self._log[:-LOG_BYTES]

    def finish(self, end: WorkEnd, timeout_s: float) -> None:
        """Delivers the end, also when we were told to stop; raises when that cannot be done in time."""
        self._closing = True
        self._wake.set()
        self._thread.join()
        while True:
            report = self._pending or self._next(end)
            self._pending = report
            reply = self._control.report(report, timeout_s, even_if_stopped=True)
            self.forget = self.forget or reply.forget
            self._pending = None
            if report.end is not None:
                return

    def _next(self, end: WorkEnd | None = None) -> WorkReport:
        with self._lock:
            lines, log = tuple(self._lines), bytes(self._log)
            self._lines.clear()
            self._log.clear()
        self._seq += 1
        text = log.decode("utf-8", errors="replace")
        return WorkReport(run=self._run, seq=self._seq, lines=lines, log=text, end=end)

    def _send_all(self) -> None:
        """The same report until it is taken: the control plane knows repeated ones by their number."""
        first = True
        while not self._closing:
            if self._pending is None and (first or self._lines or self._log):
                self._pending = self._next()
                first = False
            if self._pending is not None and not self._send():
                return
            self._wake.wait(BATCH_S)
            self._wake.clear()

    def _send(self) -> bool:
        """Returns False when reports are not accepted any more."""
        if self._pending is None:
            return True
        try:
            reply = self._control.report(self._pending, REPORT_TIMEOUT_S)
            self.forget = self.forget or reply.forget
            if reply.stop:
                self._give_up()
            self._pending = None
        except Refused as error:
            if error.ended:
                self._give_up()
                return False
            self._pending = None
        except Cancelled:
            return False
        except AvatarError:
            return True
        return True

    def _give_up(self) -> None:
        self.unwanted = True
        self._stop.set()
