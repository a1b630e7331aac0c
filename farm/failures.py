"""Failures of our own side of a task, put into the words that people read; used by schedulers and the
studio.
"""

from __future__ import annotations

import errno

from avatar.spec import Failed

from soundstage.errors import SoundstageError

DISK_FULL = frozenset({"disk.full", "render.disk_full"})
"""Told of the disk where the worker runs; another node has another one."""
OUT_OF_GPU_MEMORY = "gpu.out_of_memory"
"""The engine wanted more than its grant; the next try asks for more."""
CARD_LOST = frozenset({"gpu.lost", "gpu.not_opened"})
"""Told of a card that failed under the worker, or did not open for it; another card may be well."""
CRASHED = "worker.crashed"
RETRYABLE = DISK_FULL | CARD_LOST | {
    OUT_OF_GPU_MEMORY, CRASHED, "worker.killed", "worker.lost", "worker.not_started",
}  # fmt: skip
"""Codes for which the same task may well succeed on a second try."""

CANCELLED = Failed(
    code="render.cancelled", message="The work was cancelled.", hint="Retry it when you want it again."
)


class TaskFailed(Exception):
    """A task ended without a result; `failure` is what people are told, `log` what the worker wrote last."""

    def __init__(self, failure: Failed, log: str = "") -> None:
        super().__init__(f"{failure.code}: {failure.message}")
        self.failure = failure
        self.log = log

    @property
    def code(self) -> str:
        return self.failure.code

    def as_error(self, status: int) -> SoundstageError:
        """Returns the failure as an error with this HTTP status."""
        return SoundstageError(self.failure.code, self.failure.message, self.failure.hint, status=status)


def failure_from_error(error: OSError | SoundstageError) -> Failed:
    """Folders, blobs, a full disk."""
    if isinstance(error, SoundstageError):
        return Failed(code=error.code, message=error.message, hint=error.hint)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failed(
            code="disk.full",
            message="The disk is full, so the files of this step could not be written.",
            hint="Free space (`soundstage gc` shows what can go), then retry.",
        )
    return Failed(
        code="worker.files",
        message=f"The files of this step could not be handled: {error.strerror or error}.",
        hint="Check rights and space of state_dir and out_dir.",
    )
