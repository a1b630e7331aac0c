"""A change that was sent and never answered: nobody may take it for undone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from loopback_http import Reply, Request, serving

from app.machines_api import machines_api
from farm.nomad import NomadAddress
from farm.nomad.operating import OperatorClient
from soundstage.errors import SoundstageError, Unavailable
from soundstage.settings import Settings


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """The address of a server that takes every request and hangs up without a word."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_change_of_a_machine_that_nobody_answered_is_unknown(silent: str) -> None:
    settings = Settings.model_validate({"provisioning": {"api_url": silent}})
    async with machines_api(settings) as api:
        with pytest.raises(SoundstageError) as unknown:
            await api.post("/api/machines/mac_1/accept")
        with pytest.raises(Unavailable) as looked:
            await api.get("/api/machines")
    assert (unknown.value.code, unknown.value.status) == ("machines.outcome_unknown", 502)
    assert looked.value.code == "machines.no_server"


async def test_a_drain_that_nomad_did_not_answer_is_unknown(silent: str) -> None:
    async with OperatorClient(NomadAddress(silent)) as nomad:
        with pytest.raises(SoundstageError) as unknown:
            await nomad.drain("node", timedelta(hours=1))
        with pytest.raises(Unavailable) as looked:
            await nomad.nodes()
    assert (unknown.value.code, looked.value.code) == ("nomad.outcome_unknown", "nomad.unreachable")


async def test_a_drain_that_never_left_is_no_drain() -> None:
    async with OperatorClient(NomadAddress("http://127.0.0.1:9")) as nomad:
        with pytest.raises(Unavailable) as away:
            await nomad.drain("node", timedelta(hours=1))
    assert away.value.code == "nomad.unreachable"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"<html>please log in</html>", {"content-type": "text/html"}),
        Reply(200, b"no gzip", {"content-encoding": "gzip"}),
        Reply(302, b"", {"location": "/login"}),
    ],
    ids=["page", "garbled", "redirect"],
)
async def test_a_change_that_something_else_answered_is_not_taken_for_done(reply: Reply) -> None:
    async def handler(_: Request) -> Reply:
        return reply

    async with serving(handler) as url:
        async with OperatorClient(NomadAddress(url)) as nomad:
            with pytest.raises(SoundstageError) as drain:
                await nomad.drain("node", timedelta(hours=1))
        settings = Settings.model_validate({"provisioning": {"api_url": url}})
        async with machines_api(settings) as api:
            with pytest.raises(SoundstageError) as accept:
                await api.post("/api/machines/mac_1/accept")
    assert drain.value.code == "nomad.outcome_unknown"
    assert accept.value.code in ("machines.outcome_unknown", "machines.strange_answer")
