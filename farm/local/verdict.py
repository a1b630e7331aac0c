"""From how a worker ended to what people are told: result, or a failure with code, sentence and hint."""

from __future__ import annotations

import signal

from avatar.spec import Failed, Finished, ProgressLine, parse_progress
from pydantic import ValidationError

from farm.failures import CANCELLED
from farm.local.launch import EXIT_NOT_FOUND
from farm.local.process import ProcessEnd


class Reading:
    """Collects the progress lines of one run; whatever is not one is counted and kept as text for the log."""

    def __init__(self) -> None:
        self.result: Finished | None = None
        self.failure: Failed | None = None
        self.garbage = 0

    def read(self, line: bytes) -> ProgressLine | None:
        """The parsed line; None for an empty line, a last word (result, error) or garbage."""
        if not line.strip():
            return None
        try:
            parsed = parse_progress(line)
        except ValidationError:
            self.garbage += 1
            return None
        if isinstance(parsed, Finished):
            self.result = parsed
        elif isinstance(parsed, Failed):
            self.failure = parsed
        else:
            return parsed
        return None


def failure_of(end: ProcessEnd, reading: Reading, *, program: str, time_limit_s: float) -> Failed | None:
    """None when the worker succeeded and gave its result."""
    if end.ended_by == "cancel":
        return CANCELLED
    if end.ended_by == "time_limit":
        return Failed(
            code="worker.time_limit",
            message=f"The worker was stopped after its time limit of {time_limit_s:.0f} s.",
            hint="Split the script into shorter scenes, or raise worker.timeout_s.",
        )
    if end.returncode == 0:
        if reading.result is not None:
            return None
        return Failed(
            code="worker.no_result",
            message=f"The worker ended without a result; {reading.garbage} of its lines could not be read.",
            hint="Check that worker.command names the avatar program of this version.",
        )
    if reading.failure is not None and reading.failure.code != CANCELLED.code:
        return reading.failure
    if reading.failure is not None:
        # It reports a cancellation that we did not request: another process sent the signal.
        return Failed(
            code="worker.killed",
            message="The worker was stopped by another process on its machine.",
            hint="Retry.",
        )
    return _crash(end.returncode, program)


def _crash(returncode: int, program: str) -> Failed:
    if returncode == EXIT_NOT_FOUND:
        return Failed(
            code="worker.not_found",
            message=f"The worker program {program!r} could not be started.",
            hint="Install the worker (`make setup`), or set worker.command.",
        )
    if returncode == -signal.SIGKILL:
        return Failed(
            code="worker.killed",
            message="The worker was killed by SIGKILL; most often the machine ran out of memory.",
            hint="Lower worker.concurrency or the size of the picture, then retry.",
        )
    how = f"by {signal.Signals(-returncode).name}" if returncode < 0 else f"with exit status {returncode}"
    return Failed(
        code="worker.crashed",
        message=f"The worker stopped {how} and gave no reason.",
        hint="Retry; if it stays, read the log of the render.",
    )
