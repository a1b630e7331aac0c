"""Stores log lines as JSON in files of bounded size, and finds those of a trace: there, or in the journal.

A process whose standard error systemd takes needs no files: its lines are in the journal.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from soundstage.errors import Unavailable
from soundstage.telemetry.masking import mask_text, without_secrets

FOLDER = "logs"
FARM_JOURNAL = Path("/var/log/journal/remote")
"""Where the role `logs` stores the journals of all machines."""
JOURNAL_SOCKET = Path("/run/systemd/journal/socket")
FILE_BYTES = 8 << 20
FILES = 4
JOURNAL_TIMEOUT_S = 20.0
MAX_MESSAGE = 4_000
_TRACE = re.compile(r"[0-9a-f]{32}")
_PRIORITIES = ("critical", "critical", "critical", "error", "warning", "info", "info", "debug")
_LEVELS = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_OWN_FIELDS = frozenset({"event", "level", "logger", "timestamp", "trace_id"})


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line: `service` is the process, `fields` what it has beside its message."""

    at: datetime
    host: str
    service: str
    level: str
    logger: str
    message: str
    trace_id: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)


class PrivateRotatingFile(RotatingFileHandler):
    """`FILES` files of `FILE_BYTES` that only this user may read."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        super().__init__(path, maxBytes=FILE_BYTES, backupCount=FILES - 1, encoding="utf-8")

    def _open(self) -> Any:
        return open(self.baseFilename, "a", encoding="utf-8", opener=_private)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Ignores a full disk: standard error has the line too."""


class JournalHandler(logging.Handler):
    """Sends lines to journald by its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL), under the name
    `service`.
    """

    def __init__(self, service: str, path: Path = JOURNAL_SOCKET) -> None:
        super().__init__()
        self._service, self._path = service, str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        # A full queue of journald must not hold requests up.
        self._socket.setblocking(False)

    def emit(self, record: logging.LogRecord) -> None:
        """Drops a line that journald does not take at once: standard error has it too."""
        priority = next((number for least, number in _LEVELS if record.levelno >= least), 7)
        # JSON has no line breaks, which would begin a field of their own.
        fields = f"PRIORITY={priority}\nSYSLOG_IDENTIFIER={self._service}\nMESSAGE={self.format(record)}\n"
        with suppress(OSError):
            self._socket.sendto(fields.encode("utf-8", errors="replace"), self._path)

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()
        super().close()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def goes_to_journal() -> bool:
    """Returns whether systemd takes standard error of this process (systemd.exec(5), JOURNAL_STREAM)."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    with suppress(OSError, ValueError):
        found = os.fstat(2)
        return (int(device), int(inode)) == (found.st_dev, found.st_ino)
    return False


def find_lines(
    folder: Path, trace_id: str | None, limit: int, journals: Iterable[Path | None] = ()
) -> list[LogLine]:
    """Returns the newest `limit` lines of a trace (of all without one), the oldest first, from our files and
    from journals (None: the journal of this machine). A line that is in both is returned once, with its host.
    """
    found = {_identity(line): line for line in _lines_of_files(folder, trace_id)}
    for journal in journals:
        found |= {_identity(line): line for line in read_journal(journal, trace_id, limit)}
    return sorted(found.values(), key=lambda line: line.at)[-limit:]


def _identity(line: LogLine) -> tuple[datetime, str, str]:
    return line.at, line.logger, line.message


def journals_here() -> list[Path | None]:
    """Returns the journals of this machine that may have our lines."""
    if shutil.which("journalctl") is None:
        return []
    if next(FARM_JOURNAL.glob("*.journal"), None) is not None:
        return [FARM_JOURNAL]
    return [None] if Path("/run/systemd/system").is_dir() else []


def read_journal(folder: Path | None, trace_id: str | None, limit: int) -> list[LogLine]:
    """Returns lines of a journal, the oldest first; `folder` as in `journalctl -D`. Raises Unavailable
    `logs.journal_unreadable`.
    """
    command = ["journalctl", "--output=json", "--quiet", "--no-pager", f"--lines={limit}"]
    command += [] if folder is None else [f"--directory={folder}"]
    if trace_id is not None:
        if not is_trace_id(trace_id):
            return []
        command.append(f"--grep={trace_id}")
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=JOURNAL_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _unreadable(type(error).__name__) from error
    if done.returncode != 0 and done.stderr.strip():
        raise _unreadable(done.stderr.strip().splitlines()[-1])
    found = [line for text in done.stdout.splitlines() if (line := _of_journal(text)) is not None]
    # With --grep it prints the newest first.
    return sorted(found, key=lambda line: line.at)


def is_trace_id(text: str) -> bool:
    return _TRACE.fullmatch(text) is not None


def _lines_of_files(folder: Path, trace_id: str | None) -> Iterator[LogLine]:
    for path in sorted(folder.glob("*.jsonl*")):
        with suppress(FileNotFoundError):
            for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
                if trace_id is None or trace_id in text:
                    line = _of_json(text, host="", service=path.name.partition(".")[0])
                    if line is not None and (trace_id is None or line.trace_id == trace_id):
                        yield line


def _of_journal(text: str) -> LogLine | None:
    try:
        entry = json.loads(text)
        at = datetime.fromtimestamp(int(entry["__REALTIME_TIMESTAMP"]) / 1e6, UTC)
    except (ValueError, KeyError, TypeError):
        return None
    message = entry.get("MESSAGE") or ""
    if isinstance(message, list):
        # So the journal writes what is no UTF-8 or has control characters.
        message = bytes(message).decode("utf-8", errors="replace")
    host, service = str(entry.get("_HOSTNAME", "")), str(entry.get("SYSLOG_IDENTIFIER", ""))
    ours = _of_json(message, host=host, service=service) if message.startswith("{") else None
    if ours is not None:
        return ours
    priority = str(entry.get("PRIORITY", "6"))
    level = _PRIORITIES[int(priority)] if priority in "01234567" else "info"
    return LogLine(at, host, service, level, "", mask_text(message)[:MAX_MESSAGE])


def _of_json(text: str, *, host: str, service: str) -> LogLine | None:
    """Returns a line that we have written; None for anything else."""
    try:
        entry = json.loads(text)
        at = datetime.fromisoformat(entry["timestamp"])
    except (ValueError, KeyError, TypeError):
        return None
    fields = without_secrets({name: value for name, value in entry.items() if name not in _OWN_FIELDS})
    return LogLine(
        at,
        host,
        service,
        str(entry.get("level", "info")),
        str(entry.get("logger", "")),
        mask_text(str(entry.get("event", "")))[:MAX_MESSAGE],
        entry.get("trace_id"),
        fields,
    )


def _unreadable(reason: str) -> Unavailable:
    return Unavailable(
        "logs.journal_unreadable",
        f"The journal cannot be read: {reason}",
        "Add the user of the server to the group systemd-journal, or run the command as root.",
    )
