"""The provisioning API is asked anew after pauses when its event stream breaks."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from app import machines_api as client_module
from app.cli.farm import machine_calls
from app.cli.state import Invocation, set_invocation
from app.machines_api import RETRIES, MachinesApi, machines_api
from soundstage.errors import Forbidden, Invalid
from soundstage.settings import Settings


class _Breaks(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'id: 1\ndata: {"n": 1}\n\n'
        raise httpx.ReadError("gone")


async def test_a_broken_stream_is_taken_up_with_pauses_that_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str | None] = []
    pauses: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tries.append(request.headers.get("last-event-id"))
        if len(tries) == 1:
            return httpx.Response(200, stream=_Breaks())
        if len(tries) < 7:
            raise httpx.ConnectError("away")
        return httpx.Response(204)

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(client_module.asyncio, "sleep", sleep)
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://x") as client:
        found = [event async for event in MachinesApi(client).events("/api/runs/r/events")]
    assert found == [{"n": 1}]
    assert tries == [None, *["1"] * 6]
    # At once after an event; then longer each time.
    assert len(pauses) == 5
    for number, pause in enumerate(pauses):
        assert 0.125 * 2**number <= pause <= 0.25 * 2**number


def test_pauses_end_at_half_a_minute_and_differ() -> None:
    long = {RETRIES.delay_s(500) for _ in range(20)}
    assert len(long) > 1 and min(long) >= 15 and max(long) <= 30


async def test_a_port_that_nobody_knows_is_said() -> None:
    settings = Settings.model_validate({"provisioning": {"port": 0}})
    with pytest.raises(Invalid) as unknown:
        async with machines_api(settings):
            pass
    assert unknown.value.code == "machines.unknown_port"


def _elsewhere(home: Path, url: str, **more: object) -> Settings:
    key = home / "machines.key"
    key.write_text("sk_of_an_operator")
    section = {"api_url": url, "api_key_file": key, **more}
    return Settings.model_validate({"provisioning": section, "state_dir": home / "state"})


@pytest.mark.parametrize(
    "url", ["http://10.0.0.5:8001", "http://farm.example:8001", "http://[2001:db8::5]:8001"]
)
async def test_a_key_goes_to_no_other_machine_over_plain_http(home: Path, url: str) -> None:
    settings = _elsewhere(home, url)
    with pytest.raises(Forbidden, match="read on the way") as refused:
        async with machines_api(settings):
            pass
    assert refused.value.code == "machines.plain_http" and "auth.plain_http" in refused.value.hint
    allowed = settings.model_copy(update={"auth": settings.auth.model_copy(update={"plain_http": True})})
    async with machines_api(allowed):
        pass


@pytest.mark.parametrize("url", ["http://127.0.0.1:8001", "http://localhost:8001", "https://10.0.0.5:8002"])
async def test_a_key_goes_over_loopback_and_tls(home: Path, url: str) -> None:
    async with machines_api(_elsewhere(home, url)):
        pass


async def test_a_key_goes_to_an_own_address_of_this_machine(home: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("needs an address other than loopback: run it with a network")
        own = probe.getsockname()[0]
    async with machines_api(_elsewhere(home, f"http://{own}:8001")):
        pass


async def test_an_authority_for_plain_http_is_refused(home: Path) -> None:
    authority = home / "ca.pem"
    authority.write_text("not looked at")
    settings = _elsewhere(home, "http://127.0.0.1:8001", api_ca_file=authority)
    with pytest.raises(Invalid) as refused:
        async with machines_api(settings):
            pass
    assert refused.value.code == "machines.ca_without_tls" and "https" in refused.value.hint


def test_a_field_that_the_api_rejects_is_an_argument_at_the_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = {
        "code": "request.invalid",
        "detail": "The request cannot be read: body.secret: it needs at least 16 characters or entries.",
        "hint": "The API reference is at /docs.",
    }

    @asynccontextmanager
    async def api(_: Settings) -> AsyncIterator[MachinesApi]:
        transport = httpx.MockTransport(lambda request: httpx.Response(422, json=problem))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            yield MachinesApi(client)

    monkeypatch.setattr(client_module, "machines_api", api)
    set_invocation(Invocation(None, as_json=False))
    with pytest.raises(Invalid) as caught:
        machine_calls.call_machines(lambda client: client.get("/api/announcements"))
    assert caught.value.code == "arguments.invalid"
    assert "secret: it needs at least 16" in caught.value.message and "body." not in caught.value.message
    assert "--help" in caught.value.hint
