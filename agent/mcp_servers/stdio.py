"""Runs an MCP server as a child process, and bounds what it sends; the SDK's own form reads without limit."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import anyio
from mcp.client._transport import TransportStreams
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage
from mcp.types import jsonrpc_message_adapter

from agent.mcp_servers.errors import too_much
from farm.local import launch
from soundstage.errors import SoundstageError
from soundstage.one_line import one_line
from soundstage.settings.conversation import McpServerSettings
from soundstage.tasks import cancel_all
from soundstage.telemetry import get_logger, mask_text

CHUNK_BYTES = 1 << 16
GRACE_S = 2.0
"""For a server to end after its input has ended, and again after SIGTERM."""
STDERR_CHARS = 500


class _Reader:
    """Reads messages of a child. What comes since our last message is bounded: one line or many."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._received = 0

    def allow_answer(self) -> None:
        """Starts a new count: we have sent something."""
        self._received = 0

    async def lines(self, stdout: asyncio.StreamReader, server: str) -> AsyncIterator[bytes]:
        rest = bytearray()
        while chunk := await stdout.read(CHUNK_BYTES):
            self._received += len(chunk)
            if self._received > self._limit:
                raise too_much(server, self._limit)
            rest += chunk
            *lines, last = rest.split(b"\n")
            rest = bytearray(last)
            for line in lines:
                yield bytes(line)


@asynccontextmanager
async def child_transport(
    server: str, settings: McpServerSettings, limit: int, on_end: Callable[[SoundstageError | None], None]
) -> AsyncIterator[TransportStreams]:
    """Starts the program; ends it and its children at the end of the block, and with this process.

    `on_end` is called when its output ends before that. Raises OSError.
    """
    environment = {**get_default_environment(), **await asyncio.to_thread(settings.environment)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), "0", settings.command, *settings.args,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=environment, start_new_session=True,
    )  # fmt: skip
    to_session, read_stream = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write_stream, from_session = anyio.create_memory_object_stream[SessionMessage](0)
    reader = _Reader(limit)
    complaint: deque[str] = deque()

    async def read() -> None:
        assert process.stdout is not None  # noqa: S101
        error: SoundstageError | None = None
        try:
            async with to_session:
                async for line in reader.lines(process.stdout, server):
                    with suppress(ValueError):
                        await to_session.send(SessionMessage(jsonrpc_message_adapter.validate_json(line)))
        except SoundstageError as found:
            error = found
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return
        on_end(error)

    async def write() -> None:
        assert process.stdin is not None  # noqa: S101
        try:
            async with from_session:
                async for message in from_session:
                    reader.allow_answer()
                    text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                    process.stdin.write(text.encode() + b"\n")
                    await process.stdin.drain()
        except ConnectionError:
            on_end(None)

    async def read_complaint() -> None:
        assert process.stderr is not None  # noqa: S101
        while chunk := await process.stderr.read(CHUNK_BYTES):
            complaint.append(chunk.decode(errors="replace")[-STDERR_CHARS:])
            while len(complaint) > 2:
                complaint.popleft()

    tasks = [asyncio.create_task(work) for work in (read(), write(), read_complaint())]
    try:
        yield read_stream, write_stream
    finally:
        with anyio.CancelScope(shield=True):
            for stream in (read_stream, write_stream):
                await stream.aclose()
            await _end(process)
            await cancel_all(tasks)
            # Else it is open until it is collected where a pipe was not read to its end.
            process._transport.close()  # type: ignore[attr-defined]
            for closing in (to_session, from_session):
                await closing.aclose()
        stderr = mask_text(str(one_line("".join(complaint)[-STDERR_CHARS:])))
        get_logger(__name__).info("mcp server ended", server=server, code=process.returncode, stderr=stderr)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ends the input, then the group of processes: first asked to, then killed."""
    assert process.stdin is not None  # noqa: S101
    process.stdin.close()
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                await process.wait()
        # Children of the server that it has left behind are in its group.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
    with suppress(TimeoutError):
        async with asyncio.timeout(GRACE_S):
            await process.wait()
