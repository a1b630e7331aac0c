"""`avatar work`: runs one task. Fetches its work order (arguments, inputs, limits) from the control plane,
runs the avatar program, uploads the output files, and reports the end.
"""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import secrets
import signal
import sys
import tempfile
import threading
import time
from argparse import Namespace
from contextlib import closing
from pathlib import Path, PurePosixPath
from types import FrameType

from avatar.errors import AvatarError, Cancelled, InvalidInput, Unavailable
from avatar.spans import VARIABLE as TRACEPARENT
from avatar.spans import Spans
from avatar.spec import Failed, Finished, OutputFile
from avatar.spec.base import sha256_of
from avatar.spec.unfinished import VARIABLE, forget_work
from avatar.spec.work import BLOBS_PLACE, CACHE_PLACE, WorkEnd, WorkOrder
from avatar.work.blob_cache import BlobCache
from avatar.work.child import run_child
from avatar.work.control import Control, Refused
from avatar.work.reporter import LAST_WORD_S, Reporter

ORDER_TIMEOUT_S = 600.0
SINGLE_INSTANCE_TIMEOUT_S = 60.0
TOKEN_TIMEOUT_S = 30.0
"""A Nomad server that has just come back may not know the token yet; the node then writes an empty file."""
TOKEN_POLL_S = 0.25
DONE, FAILED, CANCELLED = 0, 1, 143
NAME_FILE = "worker.name"
LOCK_FILE = "worker.lock"
POLL_S = 0.25
OUTPUTS_MISSING = "transfer.outputs_missing"
"""Answer of a server to which the files of a result have not been uploaded."""


def work(arguments: Namespace) -> int:
    """Returns 0 when the control plane has the result, 1 after a failure, 143 when stopped."""
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)
    # After a restart inside one allocation the newer process wins; see SingleInstance.
    run = f"{os.environ.get('NOMAD_ALLOC_ID', 'here')}-{secrets.token_hex(8)}"
    try:
        if home := os.environ.get("NOMAD_TASK_DIR"):
            SingleInstance(Path(home), run, stop).acquire(SINGLE_INSTANCE_TIMEOUT_S)
        control = Control(
            arguments.control,
            arguments.task,
            _token(arguments.token, stop),
            run=run,
            stop=stop,
            ca_file=arguments.ca_file,
        )
        try:
            order = control.order(ORDER_TIMEOUT_S)
            return _Run(arguments, order, control, run, stop).to_end()
        finally:
            control.close()
    except Cancelled:
        return CANCELLED
    except AvatarError as error:
        print(f"{error.code}: {error.message} {error.hint}", file=sys.stderr)
        return FAILED


class _Run:
    def __init__(
        self, arguments: Namespace, order: WorkOrder, control: Control, run: str, stop: threading.Event
    ) -> None:
        self._arguments = arguments
        self._order = order
        self._control = control
        self._stop = stop
        self._reporter = Reporter(control, run, stop)
        # The job has it too; the order is of this very task.
        self._spans = Spans(self._reporter.take, {**os.environ, **order.environment})

    def to_end(self) -> int:
        self._reporter.start()
        # In the allocation's folder, which Nomad deletes with the allocation, also after a kill -9.
        home = os.environ.get("NOMAD_TASK_DIR")
        with tempfile.TemporaryDirectory(prefix="work-", dir=home, ignore_cleanup_errors=True) as folder:
            end = self._end_of_work(Path(folder))
            try:
                if not self._reporter.unwanted:
                    self._report_end(end, Path(folder))
            finally:
                # If Nomad stopped us first, the response to the final report carries `forget`.
                if self._reporter.forget:
                    forget_work(self._arguments.cache, self._order.environment.get(VARIABLE, ""))
        if end.ended_by == "cancel":
            return CANCELLED
        return DONE if end.result is not None and end.fault is None else FAILED

    def _report_end(self, end: WorkEnd, folder: Path) -> None:
        timeout_s = LAST_WORD_S if end.ended_by == "cancel" else self._order.patience_s
        try:
            self._reporter.finish(end, timeout_s)
        except Refused as error:
            if end.result is None or error.code != OUTPUTS_MISSING:
                raise
            # Another server has taken over since they were uploaded to the one before.
            self._hand_over(end.result, folder)
            self._reporter.finish(end, timeout_s)

    def _end_of_work(self, folder: Path) -> WorkEnd:
        try:
            node = {"host.name": os.environ.get("NOMAD_NODE_NAME") or platform.node()}
            with self._spans.span("avatar work", dict(node)) as attributes:
                end = self._work_in(folder)
                if end.failure is not None:
                    attributes["error.type"] = end.failure.code
                return end
        except Cancelled:
            return WorkEnd(ended_by="cancel")
        except AvatarError as error:
            return WorkEnd(fault=Failed(code=error.code, message=error.message, hint=error.hint))
        except OSError as error:
            return WorkEnd(fault=_disk_failure(error))

    def _work_in(self, folder: Path) -> WorkEnd:
        blobs = BlobCache(
            self._arguments.cache / "blobs",
            self._control,
            timeout_s=self._order.patience_s,
            limit_bytes=self._arguments.cache_mib << 20,
        )
        with closing(blobs):
            with self._spans.span("fetch inputs", {"soundstage.files": len(self._order.files)}):
                lay_out(self._order, folder, blobs)
            blobs.prune()
            return self._make_in(folder, blobs.folder)

    def _make_in(self, folder: Path, blobs: Path) -> WorkEnd:
        cache = self._arguments.cache
        (folder / "out").mkdir(exist_ok=True)
        # This environment's, unless another one is named.
        program = self._arguments.program or [sys.executable, "-m", "avatar.cli"]
        parent = self._spans.traceparent
        trace = {} if parent is None else {TRACEPARENT: parent}
        places = {BLOBS_PLACE: str(blobs.resolve()), CACHE_PLACE: str(cache.resolve())}
        end = run_child(
            [*program, *(places.get(part, part) for part in self._order.arguments)],
            folder=folder,
            environment={**self._order.environment, **trace},
            time_limit_s=self._order.time_limit_s,
            grace_s=self._order.grace_s,
            stop=self._stop,
            on_line=self._reporter.line,
            on_log=self._reporter.log,
        )
        result = self._reporter.result if end.ended_by == "itself" and end.returncode == 0 else None
        report = WorkEnd(
            returncode=end.returncode,
            ended_by=end.ended_by,
            garbage=self._reporter.garbage,
            result=result,
            failure=self._reporter.failure,
        )
        if result is not None:
            with self._spans.span("upload outputs", {"soundstage.files": len(result.files)}):
                self._hand_over(result, folder)
        return report

    def _hand_over(self, result: Finished, folder: Path) -> None:
        for file in result.files:
            self._control.put(
                file.sha256, _output_path(file, folder), file.media_type, self._order.patience_s
            )


def _output_path(file: OutputFile, folder: Path) -> Path:
    """Returns the path of an output file. Raises InvalidInput when it is missing, outside the folder, or of
    another hash.
    """
    path = (folder / file.path).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise InvalidInput(
            "worker.bad_output",
            f"The worker promised {file.role} in {path.name}, and the file is not there.",
            "Retry; if it stays, read the worker's log.",
        )
    if sha256_of(path) != file.sha256:
        raise InvalidInput(
            "worker.bad_output",
            f"The worker's {file.role} file is not the one whose hash it gave.",
            "Retry; if it stays, read the worker's log.",
        )
    return path


def _disk_failure(error: OSError) -> Failed:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failed(
            code="disk.full",
            message="The disk of the node is full, so the files of this step could not be written.",
            hint="Free space on the node; its cache of inputs can go.",
        )
    return Failed(
        code="worker.files",
        message=f"The files of this step could not be handled: {error.strerror or error}.",
        hint="Check the folders that the node gives to the worker.",
    )


def _token(path: Path, stop: threading.Event) -> str:
    until = time.monotonic() + TOKEN_TIMEOUT_S
    while not (token := _read(path)):
        if time.monotonic() > until:
            raise InvalidInput(
                "work.no_token",
                f"The token file {path.name} is empty.",
                "The farm delivers it with the job, and takes it back when the work has ended.",
            )
        if stop.wait(TOKEN_POLL_S):
            raise Cancelled("render.cancelled", "The work was stopped on request.")
    return token


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            "work.no_token",
            f"The token file {path.name} cannot be read.",
            "The farm delivers it with the job.",
        ) from error


def lay_out(order: WorkOrder, folder: Path, cache: BlobCache) -> None:
    """Fetches what the order needs and links its files into `folder`."""
    for blob in order.blobs:
        cache.obtain(blob.sha256, blob.bytes)
    for file in order.files:
        relative = PurePosixPath(file.path)
        if relative.is_absolute() or ".." in relative.parts:
            raise InvalidInput("work.bad_order", "The order leaves its folder.", "Update the control plane.")
        target = folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(cache.obtain(file.sha256, file.bytes).resolve())


class SingleInstance:
    """Lets the newest process of an allocation win, as Nomad knows only that one: `acquire` stops older ones
    and returns when they have ended. Uses files and no process ids, which mean nothing across PID namespaces.

    A Nomad client that is killed while it starts a worker forgets it, and starts it again in the same
    allocation. Nomad could not stop the first one then, and both would do the same work.
    """

    def __init__(self, folder: Path, name: str, stop: threading.Event) -> None:
        """`name` is unique per process; `stop` is set when a newer process has started."""
        self._name_file = folder / NAME_FILE
        self._lock_file = folder / LOCK_FILE
        self._name = name
        self._stop = stop

    def acquire(self, timeout_s: float) -> None:
        """Stops older processes and waits for their end. Raises Unavailable when one has not ended within
        `timeout_s` seconds.
        """
        staging = self._name_file.with_name(f".{self._name}")
        staging.write_text(self._name, encoding="ascii")
        staging.replace(self._name_file)
        # Held until the process ends, however it ends.
        self._lock = self._lock_file.open("ab")
        until = time.monotonic() + timeout_s
        while not self._try_lock():
            if time.monotonic() > until:
                raise Unavailable(
                    "work.not_alone",
                    "Another worker of this allocation is still running.",
                    "Nomad restarts this worker; if it fails again, end old processes of this job.",
                )
            time.sleep(POLL_S)
        threading.Thread(target=self._watch, name="sole-worker", daemon=True).start()

    def _try_lock(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _watch(self) -> None:
        while not self._stop.wait(POLL_S):
            try:
                newest = self._name_file.read_text(encoding="ascii")
            except OSError:
                # The allocation's folder is being removed: Nomad stops us by itself.
                continue
            if newest != self._name:
                self._stop.set()
