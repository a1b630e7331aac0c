"""Structured logs, JSON for machines and coloured lines for people; configured once by the app."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from soundstage.telemetry import metrics
from soundstage.telemetry.log_files import FOLDER, JournalHandler, PrivateRotatingFile, goes_to_journal
from soundstage.telemetry.masking import mask_secrets
from soundstage.tracing import trace_id

if TYPE_CHECKING:
    from soundstage.settings import Settings

LogFormat = Literal["json", "console"]


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger bound to the name of a module; takes key-value fields: `log.info("rendered", frames=250)`."""
    return structlog.stdlib.get_logger(name)


# Lines before `configure_logging` go there as well: standard output belongs to the answer of a command.
structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


def configure_logging(
    level: str = "INFO",
    fmt: LogFormat = "console",
    stream: TextIO | None = None,
    file: Path | None = None,
    journal: bool = False,
) -> None:
    """Sends every log line, ours and those of libraries, through one pipeline that masks secrets.

    Lines go to `stream` (standard error by default): standard output belongs to the answer of a command. With
    `file` they go there too, as JSON, and with `journal` to journald under the file's name, unless systemd
    takes standard error into its journal.
    """
    out = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        _add_trace_id,
        _count_line,
    ]
    # The traceback must be text before masking, or a key in an exception would pass.
    as_json: list[Processor] = [
        structlog.processors.format_exc_info,
        mask_secrets,
        structlog.processors.JSONRenderer(default=str),
    ]
    renderer: list[Processor]
    if fmt == "json":
        renderer = as_json
    else:
        renderer = [
            structlog.processors.format_exc_info,
            mask_secrets,
            _escape_control_characters,
            structlog.dev.ConsoleRenderer(colors=out.isatty()),
        ]

    def formatter(processors: Sequence[Processor]) -> logging.Formatter:
        return structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *processors],
        )

    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter(renderer))
    root = logging.getLogger()
    root.handlers = [handler]
    unopened: OSError | None = None
    if file is not None and not goes_to_journal():
        try:
            stored = PrivateRotatingFile(file)
            stored.setFormatter(formatter(as_json))
            root.handlers.append(stored)
        except OSError as error:
            unopened = error
        if journal:
            sent = JournalHandler(file.stem)
            sent.setFormatter(formatter(as_json))
            root.handlers.append(sent)
    root.setLevel(level.upper())
    # Their lines at `info` repeat ours, with whole URLs.
    for chatty in ("httpx", "httpcore", "aiosqlite", "sse_starlette", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    for noisy in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        # uvicorn brings its own handlers; its lines shall go through the pipeline like all others.
        logger = logging.getLogger(noisy)
        logger.handlers = []
        logger.propagate = True
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    if unopened is not None:
        get_logger(__name__).warning("log.file_unwritable", file=str(file), error=unopened.strerror)


def configure_service_logging(settings: Settings, service: str) -> None:
    """Sends the lines of a service where its settings say; its file is named after it."""
    log = settings.log
    file = settings.state_dir / FOLDER / f"{service}.jsonl"
    configure_logging(log.level, log.format, file=file, journal=log.journal)


def _escape_control_characters(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Returns what a caller sent must not colour a terminal, nor write a line that looks like one of ours."""
    return {
        name: _printable(value, keep="\n\t" if name in ("exception", "stack") else "")
        if isinstance(value, str)
        else value
        for name, value in event.items()
    }


def _printable(text: str, keep: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in keep else char.encode("unicode_escape").decode()
        for char in text
    )


def _add_trace_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    current: Any = trace_id()
    if current is not None:
        event.setdefault("trace_id", current)
    return event


def _count_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    metrics.LOG_LINES.inc(str(event.get("level", "info")))
    return event
