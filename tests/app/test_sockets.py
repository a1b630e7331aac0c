"""What is told in one go leaves in one piece, in its order, and nothing of it is lost at the end."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn
from fastapi import FastAPI, WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from app.server.studio_server import WAITING_BYTES, GatheringProtocol

PATIENCE_S = 60.0


class Counted(GatheringProtocol):
    """How often something was given to the system."""

    writes = 0

    def _leave(self) -> None:
        type(self).writes += 1
        super()._leave()


@pytest.fixture
async def url() -> AsyncIterator[str]:
    app = FastAPI()
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))

    @app.websocket("/count")
    async def count(ws: WebSocket) -> None:
        await ws.accept()
        expected = json.loads(await ws.receive_text())
        for number in range(expected["messages"]):
            await ws.send_text(f"{number}" + "x" * expected["bytes"])
        if expected.get("bye"):
            await ws.close(4000, "bye")

    @app.websocket("/echo")
    async def echo(ws: WebSocket) -> None:
        await ws.accept()
        async for text in ws.iter_text():
            await ws.send_text(text)
            await ws.send_bytes(text.encode())

    Counted.writes = 0
    config = uvicorn.Config(app, ws=Counted, ws_per_message_deflate=False, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    yield f"ws://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    await asyncio.wait_for(serving, PATIENCE_S)


async def receive_all(url: str, messages: int, size: int, *, bye: bool = False) -> tuple[list[str], int]:
    """All that comes, and the code at the end."""
    async with asyncio.timeout(PATIENCE_S), connect(f"{url}/count", proxy=None, max_size=None) as ws:
        await ws.send(json.dumps({"messages": messages, "bytes": size, "bye": bye}))
        frames: list[str] = []
        try:
            while True:
                frames.append(str(await ws.recv()))
        except ConnectionClosed as error:
            return frames, error.rcvd.code if error.rcvd else 1006


async def test_what_is_told_in_one_go_leaves_in_one_piece(url: str) -> None:
    frames, _ = await receive_all(url, 6, 10)
    assert frames == [f"{number}" + "x" * 10 for number in range(6)]
    # At the end of the round or at the end of the route, whichever comes first; the other finds nothing.
    assert Counted.writes <= 2


async def test_nothing_is_lost_before_a_close(url: str) -> None:
    frames, code = await receive_all(url, 50, 100, bye=True)
    assert len(frames) == 50 and code == 4000


async def test_much_does_not_wait(url: str) -> None:
    frames, _ = await receive_all(url, 20, WAITING_BYTES)
    assert [text.rstrip("x") for text in frames] == [str(number) for number in range(20)]
    assert Counted.writes >= 20


async def test_text_bytes_and_pings_keep_their_order(url: str) -> None:
    async with asyncio.timeout(PATIENCE_S), connect(f"{url}/echo", proxy=None) as ws:
        for number in range(20):
            await ws.send(str(number))
            await (await ws.ping())
            assert [await ws.recv(), await ws.recv()] == [str(number), str(number).encode()]


async def test_who_goes_away_in_the_middle_breaks_nothing(url: str) -> None:
    for _ in range(10):
        ws = await connect(f"{url}/count", proxy=None)
        await ws.send(json.dumps({"messages": 200, "bytes": 5000}))
        ws.transport.abort()
    assert len((await receive_all(url, 3, 1))[0]) == 3
