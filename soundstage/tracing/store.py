"""Stores finished spans as JSON lines in a folder of bounded size, and finds those of a trace.

No rows: spans are written many at a time and read seldom, and the database has one writer. What does not fit
any more is dropped with the oldest file.
"""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from soundstage.database.tenants import DEFAULT_TENANT, current_tenant
from soundstage.telemetry.logs import get_logger
from soundstage.tracing.current import TENANT, trace_tenant
from soundstage.tracing.records import SpanRecord

FOLDER = "traces"
SUFFIX = ".jsonl"
MAX_BYTES = 64 << 20
FILE_BYTES = 4 << 20
MAX_FILES = 256
MAX_AGE_S = 7 * 24 * 3600.0
FLUSH_S = 0.5
MAX_PENDING = 20_000
"""So many spans wait for the disk at most; later ones are dropped."""
MAX_SPANS = 5_000
"""So many spans of one trace are read at most."""
SLOW_NS = 250_000_000
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

log = get_logger(__name__)


class SpanStore:
    """The spans of one installation on this machine. Any number of processes append, each to its own files.

    `put` costs the caller no system call: a thread writes what has come twice a second.
    """

    def __init__(self, folder: Path, service: str, *, max_bytes: int = MAX_BYTES) -> None:
        self._folder = folder
        self.service = service
        self._max_bytes = max_bytes
        self._pending: list[SpanRecord] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._file: Path | None = None
        self._dropped = False

    def open(self) -> None:
        """Starts the thread that writes."""
        self._closing.clear()
        self._thread = threading.Thread(target=self._write_regularly, name="spans", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Writes what is left."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(5.0)
            self._thread = None
        self.flush()

    def put(self, record: SpanRecord) -> None:
        """Takes a finished span, for the current tenant; those of no tenant are the operator's."""
        if len(self._pending) >= MAX_PENDING:
            return
        record.service = record.service or self.service
        tenant = record.attributes.get(TENANT) or trace_tenant() or current_tenant()
        record.tenant = str(tenant or DEFAULT_TENANT)
        self._pending.append(record)
        if not self._wake.is_set():
            self._wake.set()

    def flush(self) -> None:
        """Writes what has come so far."""
        with self._lock:
            pending, self._pending = self._pending, []
            lines = [record.to_json() for record in without_quick_reads(pending)]
            if not lines:
                return
            try:
                self._append("".join(f"{line}\n" for line in lines).encode())
                self._dropped = False
            except OSError as error:
                if not self._dropped:
                    log.warning("traces.not_written", error=error.strerror or str(error))
                self._dropped = True

    def find(self, subject: str, tenant: str) -> list[SpanRecord]:
        """Returns the spans of a trace that `tenant` may see, by their start. `subject` is the trace id, or
        an id in an attribute (of a render, a session, a run): then the newest trace with it is meant.
        """
        self.flush()
        trace = subject if _is_trace_id(subject) else self._newest_trace(subject, tenant)
        if trace is None:
            return []
        found = {
            record.span_id: record
            for record in self._records(trace)
            if record.trace_id == trace and record.tenant == tenant
        }
        return sorted(found.values(), key=lambda record: record.start_ns)[:MAX_SPANS]

    def _newest_trace(self, subject: str, tenant: str) -> str | None:
        named = [
            record
            for record in self._records(subject)
            if record.tenant == tenant and subject in record.attributes.values()
        ]
        return max(named, key=lambda record: record.end_ns).trace_id if named else None

    def _records(self, text: str) -> Iterator[SpanRecord]:
        needle = text.encode()
        for path in self._files():
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                continue
            place = content.find(needle)
            while place >= 0:
                start, end = content.rfind(b"\n", 0, place) + 1, content.find(b"\n", place)
                line = content[start:] if end < 0 else content[start:end]
                # A line that a killed process has cut off.
                with suppress(ValueError, TypeError):
                    yield SpanRecord.from_json(line)
                place = -1 if end < 0 else content.find(needle, end)

    def _files(self) -> list[Path]:
        """The oldest first: names begin with the time."""
        return sorted(self._folder.glob(f"*{SUFFIX}"))

    def _append(self, data: bytes) -> None:
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._prune(len(data))
            self._file = self._folder / f"{time.time_ns():020d}-{os.getpid()}{SUFFIX}"
        descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, data)
            full = os.fstat(descriptor).st_size >= min(FILE_BYTES, self._max_bytes // 4)
        finally:
            os.close(descriptor)
        if full:
            self._file = None

    def _prune(self, needed: int) -> None:
        """Removes the oldest files until one more has room, and those that are too old."""
        sizes = {path: path.stat() for path in self._files()}
        left = sum(stat.st_size for stat in sizes.values()) + max(
            needed, min(FILE_BYTES, self._max_bytes // 4)
        )
        count, now = len(sizes), time.time()
        for path, stat in sizes.items():
            if left <= self._max_bytes and count < MAX_FILES and now - stat.st_mtime < MAX_AGE_S:
                continue
            path.unlink(missing_ok=True)
            left, count = left - stat.st_size, count - 1

    def _write_regularly(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            # What comes meanwhile is written with it.
            self._closing.wait(FLUSH_S)
            self._wake.clear()
            self.flush()


def without_quick_reads(records: Sequence[SpanRecord]) -> Iterable[SpanRecord]:
    """Drops requests that only read, were quick and went well, with all that happened in them: the page makes
    several each second, and they would push out what somebody will look for.
    """
    children: dict[str | None, list[SpanRecord]] = defaultdict(list)
    for record in records:
        children[record.parent_id].append(record)
    dropped: set[str] = set()
    for record in records:
        if record.kind == "server" and record.attributes.get("http.request.method") in _SAFE:
            inside = [record]
            for one in inside:
                inside += children[one.span_id]
            if all(_is_quick(one) for one in inside):
                dropped.update(one.span_id for one in inside)
    return [record for record in records if record.span_id not in dropped]


def _is_quick(record: SpanRecord) -> bool:
    return not record.is_error and record.end_ns - record.start_ns < SLOW_NS


def _is_trace_id(subject: str) -> bool:
    return len(subject) == 32 and all(digit in "0123456789abcdef" for digit in subject)
