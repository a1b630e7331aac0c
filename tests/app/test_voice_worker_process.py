"""Restarts of the voice worker beside the server."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from app.server import supervisor, voice_process
from soundstage.settings import Settings


async def test_a_worker_that_ran_long_starts_again_without_delay_of_earlier_failures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = iter([1.0, 1.0, 1.0, 3600.0, 1.0])
    clock = [0.0]
    delays: list[float] = []

    async def run_once(*_: object) -> int:
        length = next(runs, None)
        if length is None:
            raise asyncio.CancelledError
        clock[0] += length
        return 1

    async def sleep(seconds: float) -> None:
        delays.append(seconds)

    monkeypatch.setattr(voice_process, "_run_once", run_once)
    monkeypatch.setattr(voice_process, "find_spec", lambda _: True)
    monkeypatch.setattr(supervisor.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(supervisor.asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await voice_process.run_voice_worker(Settings(voice={"enabled": True}), None, "http://127.0.0.1:1")
    first, *_ = delays
    assert [b > a for a, b in pairwise(delays)] == [True, True, False, True]
    assert delays[3] == first
