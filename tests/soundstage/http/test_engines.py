"""The libraries of Consul and Nomad ask within bounds, as the token that they are given, and nobody else."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Callable
from typing import Any

import consul
import pytest
import requests
from nomad.api.exceptions import BaseNomadException
from raw_http import RawServer, fixed, raw_server

from soundstage.http.engines import BoundedSession, EngineAddress, consul_client, nomad_client


def services(address: EngineAddress) -> Any:
    with consul_client(address, 5) as client:
        return client.catalog.services()[1]


def nodes(address: EngineAddress) -> Any:
    with nomad_client(address, 5) as client:
        return client.nodes.get_nodes()


ASKED: list[tuple[Callable[[EngineAddress], Any], str, str]] = [
    (services, "/v1/catalog/services", "x-consul-token"),
    (nodes, "/v1/nodes", "x-nomad-token"),
]


@pytest.mark.parametrize(("ask", "path", "header"), ASKED)
async def test_an_engine_is_asked_as_the_token_given_and_below_the_path_of_its_address(
    ask: Callable[[EngineAddress], Any], path: str, header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the environment says: its tokens and proxies are other people's."""
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "of-the-environment")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    answer = fixed("HTTP/1.1 200 OK|x-consul-index: 1", b"{}")
    async with raw_server(answer) as server:
        assert await asyncio.to_thread(ask, EngineAddress(f"{server.url}/behind", "ours")) == {}
        assert await asyncio.to_thread(ask, EngineAddress(server.url)) == {}
    first, second = (head.lower() for head in server.heads)
    assert first.startswith(f"get /behind{path}") and f"{header}: ours\r\n" in first
    assert header not in second and "accept-encoding: identity\r\n" in second


@pytest.mark.parametrize("ask", [services, nodes])
async def test_a_redirect_of_an_engine_is_not_followed(
    ask: Callable[[EngineAddress], Any], receiver: RawServer
) -> None:
    async with raw_server(fixed(f"HTTP/1.1 302 Found|location: {receiver.url}/")) as server:
        with pytest.raises((consul.ConsulException, requests.RequestException, BaseNomadException)):
            await asyncio.to_thread(ask, EngineAddress(server.url, "ours"))
    assert receiver.connections == 0


async def bounded(url: str, total_s: float = 5.0) -> None:
    def get() -> None:
        with BoundedSession(total_s, answer_bytes=1000) as session:
            session.get(url, timeout=5)

    with pytest.raises(requests.RequestException):
        await asyncio.to_thread(get)


async def test_an_answer_that_is_packed_or_has_no_end_is_given_up() -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(bytes(65536))
            await writer.drain()

    async with raw_server(endless) as server:
        await bounded(server.url)
    bomb = gzip.compress(bytes(1 << 20))[:900]
    async with raw_server(fixed("HTTP/1.1 200 OK|content-encoding: gzip", bomb)) as server:
        await bounded(server.url)


async def test_an_answer_that_drips_ends_with_the_whole_time() -> None:
    async def dripping(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    began = time.monotonic()
    async with raw_server(dripping) as server:
        await bounded(server.url, total_s=0.3)
    assert time.monotonic() - began < 4
