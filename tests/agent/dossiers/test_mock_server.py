"""The mock API over real HTTP: examples out, wrong bodies told."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from agent.dossiers.compiling import compile_bytes
from agent.dossiers.mock_server import mock_app

SAMPLE = Path(__file__).parents[3] / "docs" / "guide" / "tide-station.dossier.json"
WAIT_S = 60


@pytest.fixture
async def mock() -> AsyncIterator[httpx.AsyncClient]:
    port = socket.create_server(("127.0.0.1", 0))
    app = mock_app(compile_bytes(SAMPLE.read_bytes()).api)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    serving = asyncio.create_task(server.serve(sockets=[port]))
    base = f"http://127.0.0.1:{port.getsockname()[1]}"
    async with httpx.AsyncClient(base_url=base, timeout=WAIT_S, trust_env=False) as client:
        yield client
    server.should_exit = True
    await asyncio.wait_for(serving, WAIT_S)


async def test_every_operation_answers_its_own_example_to_its_own_example(mock: httpx.AsyncClient) -> None:
    document = (await mock.get("/openapi.json")).json()
    assert document["openapi"] == "3.1.0"
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            body = (
                operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
            )
            answer = await mock.request(method, path, json=body)
            example = operation["responses"]["200"]["content"]["application/json"]["example"]
            assert (answer.status_code, answer.json()) == (200, example), path


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"", ""),
        (b"{", ""),
        (b"[]", ""),
        (b'{"gauge": "north-mole"}', ""),
        (b'{"gauge": "south", "at": "x"}', "/gauge"),
        (b'{"gauge": "north-mole", "at": 7}', "/at"),
        (b'{"gauge": "north-mole", "at": "x", "more": 1}', "/more"),
        (b"[" * 5000, ""),
        (b" " * (2 << 20), ""),
    ],
)
async def test_a_wrong_body_is_told_with_its_place(
    mock: httpx.AsyncClient, body: bytes, pointer: str
) -> None:
    answer = await mock.post("/functions/tideat", content=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "mock.bad_body")
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_bounds_of_numbers_hold(mock: httpx.AsyncClient) -> None:
    body = {"boat": "Ada", "length_m": 1, "nights": 1.5, "extras": ["power", "wine"]}
    output = (await mock.post("/functions/request-mooring", json=body)).json()["errors"]
    assert [problem["pointer"] for problem in output] == ["/length_m", "/nights", "/extras/1"]


async def test_what_is_not_in_the_document_is_not_served(mock: httpx.AsyncClient) -> None:
    for path in ("/", "/functions", "/functions/tideat/", "/../etc/passwd", "/functions/%2e%2e/x"):
        assert (await mock.get(path)).json()["code"] == "mock.no_operation"
    wrong = await mock.get("/functions/tideat")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
