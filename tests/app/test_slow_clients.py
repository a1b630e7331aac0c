"""A request that does not come to its end is ended; a whole one may take as long as its answer needs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import uvicorn
from fastapi import FastAPI, Request
from starlette.requests import ClientDisconnect

from app.server.slow_clients import RequestTimeoutProtocol

HEAD = b"POST /take HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
PATIENCE_S = 60.0


class ShortTimeoutProtocol(RequestTimeoutProtocol):
    """With limits that a test can wait for."""

    head_s = 0.3
    body_s = 0.3


class Served:
    """Where it listens, and how many requests went away in the middle."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.gone = 0


@pytest.fixture
async def serve() -> AsyncIterator[Served]:
    app = FastAPI()
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    found = Served(listening.getsockname()[1])

    @app.post("/take")
    async def take(request: Request) -> int:
        try:
            return len(await request.body())
        except ClientDisconnect:
            found.gone += 1
            raise

    @app.get("/think")
    async def think() -> str:
        await asyncio.sleep(5 * ShortTimeoutProtocol.head_s)
        return "thought"

    server = uvicorn.Server(uvicorn.Config(app, http=ShortTimeoutProtocol, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    yield found
    server.should_exit = True
    await asyncio.wait_for(serving, PATIENCE_S)


async def drip(port: int, begun: bytes, drop: bytes) -> bytes:
    """Sends a beginning and then drops for as long as it is let; gives what came back until the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(begun)

    async def drip() -> None:
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drip())
    try:
        return await asyncio.wait_for(reader.read(), PATIENCE_S)
    except ConnectionResetError:
        # What was on its way to a sender who does not stop sending may be lost.
        return b""
    finally:
        dripping.cancel()
        with suppress(asyncio.CancelledError, ConnectionError):
            await dripping
        writer.close()


def is_refusal(answer: bytes) -> bool:
    return answer == b"" or answer.startswith(b"HTTP/1.1 408")


async def test_a_head_that_drips_is_ended(serve: Served) -> None:
    assert is_refusal(await drip(serve.port, b"GET /think HTTP/1.1\r\nX: ", b"a"))


async def test_a_connection_that_says_nothing_is_ended(serve: Served) -> None:
    # Nothing is on its way to us, so the answer is sure to come.
    assert (await drip(serve.port, b"", b"")).startswith(b"HTTP/1.1 408")


async def test_a_body_that_drips_is_ended_and_its_request_with_it(serve: Served) -> None:
    head = HEAD + b"Content-Length: 1000000\r\n\r\n"
    assert is_refusal(await drip(serve.port, head, b"a"))
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    assert is_refusal(await drip(serve.port, chunked, b"1\r\na\r\n"))
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while serve.gone < 2:
        assert asyncio.get_running_loop().time() < deadline, "the requests are still waited for"
        await asyncio.sleep(0.02)


async def test_the_second_head_on_a_connection_has_its_end_too(serve: Served) -> None:
    whole = HEAD + b"Content-Length: 3\r\n\r\nabc"
    answer = await drip(serve.port, whole + b"GET /think HTTP/1.1\r\nX: ", b"a")
    assert answer == b"" or answer.startswith(b"HTTP/1.1 200")


async def test_an_answer_may_take_longer_than_a_request_may(serve: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", serve.port)
    for _ in range(2):
        writer.write(b"GET /think HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
        assert head.startswith(b"HTTP/1.1 200")
        assert await reader.readexactly(len('"thought"')) == b'"thought"'
    writer.close()
