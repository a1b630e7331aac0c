"""The HTTP client behind every command: requests to the studio and streams of its events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from app.api_client import ApiClient, Problem
from app.cli.words import segment
from soundstage.backoff import Backoff
from soundstage.errors import Invalid, SoundstageError, Unavailable, Upstream
from soundstage.http.event_stream import stream_events
from soundstage.paging import TOTAL_HEADER
from soundstage.tracing import traceparent

TIMEOUT_S = 120.0
READ_BYTES = 1 << 20
RETRIES = 8
"""Attempts to reconnect to an event stream before the server counts as gone: about 20 seconds."""
PROGRESS_RETRIES = Backoff(first_s=0.5, longest_s=5.0)
REQUEST_INVALID = "request.invalid"


class Download(NamedTuple):
    """A file on its way: the headers of the answer, and the bytes."""

    headers: httpx.Headers
    chunks: AsyncIterator[bytes]


class StudioApi(ApiClient):
    """One connection to a studio. `url` names it in errors.

    A studio that runs in this very process makes videos and runs approved calls only while a command waits
    for them: `start_making` and `run_approved` ask for it. Of a server both do nothing.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        url: str,
        *,
        remote: bool = False,
        start_making: Callable[[bool], Awaitable[None]] | None = None,
        run_approved: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        super().__init__(client)
        self._url = url
        self._start_making = start_making
        self._run_approved = run_approved
        self.remote = remote
        """Whether the server may be another machine, whose paths mean nothing here."""

    def address_of(self, path: str) -> str:
        """Return the whole address of a path of the server."""
        return path if "://" in path else f"{self._url}{path}"

    async def get_page(self, path: str, **params: Any) -> tuple[Any, int | None]:
        """Return one page of a list, and how many there are in all where the server counted them."""
        answer = await self._get_page(path, params)
        total = answer.headers.get(TOTAL_HEADER)
        return self._content(answer), None if total is None else int(total)

    async def upload(self, file: Path, **labels: str) -> Any:
        """Store a file as an asset and return the asset. Raises Invalid `file.unreadable`."""
        size, chunks = await _opened(file)
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        params = {"name": file.name, **labels}
        answer = await self._send("POST", "/api/assets", params=params, headers=headers, content=chunks)
        return self._content(answer)

    async def post_form(self, path: str, file: Path, fields: dict[str, str]) -> Any:
        """Send a form with one file."""
        content = await asyncio.to_thread(_read, file)
        return self._content(
            await self._send("POST", path, data=fields, files={"file": (file.name, content)})
        )

    @asynccontextmanager
    async def download(self, path: str) -> AsyncIterator[Download]:
        """Ask for a file to be made (POST). One that breaks off raises `server.download_broke_off`."""
        headers = {"traceparent": traceparent()}
        begun = False
        try:
            async with self._client.stream("POST", path, headers=headers, timeout=None) as answer:
                await self._check(answer)
                begun = True
                yield Download(answer.headers, answer.aiter_raw())
        except httpx.TransportError as error:
            if not begun:
                raise self._unreachable(error) from error
            raise Upstream(
                "server.download_broke_off",
                f"The server at {self._url} ended in the middle of a file ({_reason(error)}).",
                "Look at its log, then ask for the file again.",
            ) from error

    async def answer(self, body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """The agent's events of one sentence. A stream that breaks off raises `server.answer_broke_off`."""
        headers = {"Accept": "text/event-stream", "traceparent": traceparent()}
        begun = False
        try:
            async with self._client.stream(
                "POST", "/api/chat", json=body, headers=headers, timeout=None
            ) as answer:
                await self._check(answer)
                last = None
                async for data in _data_of(answer):
                    begun, last = True, data["type"]
                    yield data
        except httpx.TransportError as error:
            if not begun:
                raise self._unreachable(error) from error
            raise self._broke_off() from error
        if last != "done":
            # The server ended in good order, and the answer with it.
            raise self._broke_off()

    async def progress(self, render_id: str) -> AsyncIterator[dict[str, Any]]:
        """The Progress events of a render until its end; a server that restarts is waited for."""
        path = f"/api/chat/renders/{segment(render_id)}/progress"
        failed = 0
        while True:
            last: dict[str, Any] = {}
            try:
                async with self._client.stream("GET", path, timeout=None) as answer:
                    await self._check(answer)
                    async with aclosing(_data_of(answer)) as found:
                        async for last in found:
                            failed = 0
                            yield last
                if last.get("state") in ENDED:
                    return
                failed += 1
            except httpx.TransportError as error:
                failed += 1
                if failed > RETRIES:
                    raise self._unreachable(error) from error
            except SoundstageError as error:
                failed += 1
                if error.status != Unavailable.default_status or failed > RETRIES:
                    raise
            await asyncio.sleep(PROGRESS_RETRIES.delay_s(failed))

    async def events(self, path: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Name and data of the server-sent events of one connection."""
        try:
            async with self._client.stream("GET", path, timeout=None) as answer:
                await self._check(answer)
                async with aclosing(stream_events(answer.aiter_bytes())) as found:
                    async for event in found:
                        yield event.name, json.loads(event.data)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    @property
    def is_embedded(self) -> bool:
        """Returns whether the studio runs in this process and ends with the command."""
        return self._start_making is not None

    async def start_making(self, *, dispatch: bool = True) -> None:
        """Starts the scheduler, with `dispatch` also the dispatcher of renders, where no server runs them."""
        if self._start_making is not None:
            await self._start_making(dispatch)

    async def run_approved(self) -> bool:
        """Run the calls that people have agreed to, where no server does; return whether that was here."""
        if self._run_approved is None:
            return False
        await self._run_approved()
        return True

    def _unreachable(self, error: httpx.RequestError) -> Unavailable:
        return Unavailable(
            "server.unreachable",
            f"The server at {self._url} does not answer ({_reason(error)}).",
            "Start it with `soundstage up`, or name another one with --server.",
        )

    def _outcome_unknown(self, error: httpx.RequestError) -> Upstream:
        return Upstream(
            "server.outcome_unknown",
            f"The server at {self._url} took the request and did not answer ({_reason(error)}): whether it "
            "was done is not known.",
            "Look before you ask for it again.",
        )

    def _unexpected_response(self, answered: object) -> Upstream:
        return Upstream(
            "server.strange_answer",
            f"What answers at {self._url} answered {answered} and is not a Soundstage server.",
            "Check the address after --server, and that no proxy stands before it.",
        )

    def _refusal(self, problem: Problem, answer: httpx.Response) -> SoundstageError:
        if problem.code == REQUEST_INVALID:
            # The terms of a REST request would mean nothing to a user of the prompt.
            fields = [f"{one.path}: {one.message}" for one in problem.errors[:3]]
            where = "; ".join(one.removeprefix("body.") for one in fields) or problem.detail
            return Invalid(
                "arguments.invalid",
                f"The arguments do not hold: {where}.",
                "`--help` behind the command tells what it takes.",
            )
        if answer.status_code == 401:
            problem.hint = f"`soundstage login {self._url}` saves another key."
        return super()._refusal(problem, answer)

    def _broke_off(self) -> Upstream:
        return Upstream(
            "server.answer_broke_off",
            f"The server at {self._url} went away while it answered. What it had begun may go on there.",
            'When it is back, look with `soundstage ask "list my videos"`.',
        )


ENDED = frozenset({"done", "failed", "cancelled"})
"""The states of a render that do not change any more; a test compares them with the studio's."""


async def _data_of(answer: httpx.Response) -> AsyncGenerator[dict[str, Any], None]:
    async with aclosing(stream_events(answer.aiter_bytes())) as found:
        async for event in found:
            yield json.loads(event.data)


def _reason(error: httpx.RequestError) -> str:
    return str(error) or type(error).__name__


async def _opened(file: Path) -> tuple[int, AsyncIterator[bytes]]:
    """Size in bytes and content of a file, which is open already: that it cannot be read is known first."""
    try:
        opened = await asyncio.to_thread(file.open, "rb")
        size = (await asyncio.to_thread(file.stat)).st_size
    except OSError as error:
        raise _unreadable(file, error) from error

    async def chunks() -> AsyncIterator[bytes]:
        with opened:
            while chunk := await asyncio.to_thread(opened.read, READ_BYTES):
                yield chunk

    return size, chunks()


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: OSError) -> Invalid:
    return Invalid("file.unreadable", f"{file} cannot be read: {error.strerror}.", "Check the path.")
