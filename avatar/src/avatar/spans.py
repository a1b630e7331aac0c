"""Measures what a worker does as spans of the caller's trace, and prints them beside the progress.

The standard library alone: no OpenTelemetry SDK on nodes. The control side stores and exports them. Without
TRACEPARENT (W3C Trace Context) in the environment nothing is measured.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from avatar.spec.progress import Finished, ProgressLine, SpanEnded, SpanValue, StageStarted

VARIABLE = "TRACEPARENT"
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)

Tell = Callable[[ProgressLine], None]


def trace_id_of(environment: Mapping[str, str] = os.environ) -> str | None:
    """Returns the trace id that the caller has set; None without one."""
    match = _TRACEPARENT.fullmatch(environment.get(VARIABLE, "").strip())
    return match[1] if match else None


class Spans:
    """Spans of one process, one inside the other, in one thread."""

    def __init__(self, emit: Tell, environment: Mapping[str, str] = os.environ) -> None:
        match = _TRACEPARENT.fullmatch(environment.get(VARIABLE, "").strip())
        sampled = match is not None and int(match[3], 16) & 1 == 1
        self._trace_id = match[1] if match is not None and sampled else None
        self._parent_id = match[2] if match is not None else ""
        self._emit = emit

    @property
    def traceparent(self) -> str | None:
        """Returns the value of TRACEPARENT for a child process; None where nothing is measured."""
        return f"00-{self._trace_id}-{self._parent_id}-01" if self._trace_id else None

    @contextmanager
    def span(
        self, name: str, attributes: dict[str, SpanValue] | None = None
    ) -> Iterator[dict[str, SpanValue]]:
        """Measures the block; what it adds to the dictionary becomes attributes."""
        found = dict(attributes or {})
        if self._trace_id is None:
            yield found
            return
        parent_id, self._parent_id = self._parent_id, secrets.token_hex(8)
        start_ns, is_error = time.time_ns(), True
        try:
            yield found
            is_error = "error.type" in found
        except BaseException as error:
            found["error.type"] = str(getattr(error, "code", "") or type(error).__name__)
            raise
        finally:
            own_id, self._parent_id = self._parent_id, parent_id
            self._emit(
                SpanEnded(
                    trace_id=self._trace_id,
                    span_id=own_id,
                    parent_id=parent_id,
                    name=name,
                    start_ns=start_ns,
                    end_ns=time.time_ns(),
                    is_error=is_error,
                    attributes=found,
                )
            )


class StageSpans:
    """Turns the stages of the progress into spans: a stage lasts until the next one begins. Called from one
    thread at a time.
    """

    def __init__(self, tell: Tell, spans: Spans) -> None:
        self._tell = tell
        self._spans = spans
        self._open: Iterator[None] | None = None
        self.result: dict[str, SpanValue] = {}

    def tell(self, line: ProgressLine) -> None:
        if isinstance(line, StageStarted):
            self.end()
            self._open = self._stage(line)
            next(self._open)
        self._tell(line)

    def note(self, result: Finished) -> None:
        """Takes frames and engine of the result as attributes."""
        self.result["soundstage.frames"] = result.frames
        if result.engines:
            self.result["soundstage.engine"] = result.engines[0].engine

    def end(self) -> None:
        """Ends the stage that is open."""
        if self._open is not None:
            next(self._open, None)
            self._open = None

    def _stage(self, line: StageStarted) -> Iterator[None]:
        attributes: dict[str, SpanValue] = {}
        if line.scene is not None:
            attributes["soundstage.scene"] = line.scene[:200]
        if line.total_frames is not None:
            attributes["soundstage.frames"] = line.total_frames
        with self._spans.span(line.stage, attributes):
            yield
