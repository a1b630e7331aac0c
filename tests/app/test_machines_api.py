"""The provisioning API is asked anew after pauses when its event stream breaks."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from app import machines_api as asked
from app.machines_api import MachinesApi, machines_api, pause_s
from soundstage.errors import Invalid
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

    monkeypatch.setattr(asked.asyncio, "sleep", sleep)
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://x") as client:
        found = [event async for event in MachinesApi(client).events("/api/runs/r/events")]
    assert found == [{"n": 1}]
    assert tries == [None, *["1"] * 6]
    # At once after an event; then longer each time.
    assert len(pauses) == 5
    for number, pause in enumerate(pauses):
        assert 0.125 * 2**number <= pause <= 0.25 * 2**number


def test_pauses_end_at_half_a_minute_and_differ() -> None:
    long = {pause_s(500) for _ in range(20)}
    assert len(long) > 1 and min(long) >= 15 and max(long) <= 30


async def test_a_port_that_nobody_knows_is_said() -> None:
    settings = Settings.model_validate({"provisioning": {"port": 0}})
    with pytest.raises(Invalid) as unknown:
        async with machines_api(settings):
            pass
    assert unknown.value.code == "machines.unknown_port"
